package caddymodule

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnknownClients is what the guard does with client_ids that the registry does not know:
// the bank's own clients, mostly. After a restore or an accepted loss some of them may be
// clients that were forgotten, with their suspension and the certificate that is theirs.
type UnknownClients struct {
	// Mode is pass or refuse. From a restore or an accepted loss on it is refuse, whatever
	// is written, until an operator confirms. Default: pass.
	Mode string `json:"mode,omitempty"`
	// Known is a file with the client_ids that pass all the same, one in a line; lines that
	// begin with # count for nothing, and a # behind a blank is an error. It is read again
	// when it changes, 1 MiB at most. Those of the credentials in this configuration need
	// not be in it. Default: none.
	Known string `json:"known,omitempty"`

	known atomic.Pointer[map[string]bool]
	// own are the client_ids of the gateway itself.
	own map[string]bool
}

// maxKnown is the size of the file in bytes, at most; maxKnownID that of a client_id.
const (
	maxKnown   = 1 << 20
	maxKnownID = 1 << 10
)

// provision reads the file, and has it watched.
func (u *UnknownClients) provision(watch *fileWatch) error {
	if u.Mode != "" && u.Mode != "pass" && u.Mode != "refuse" {
		return fmt.Errorf("unknown_clients %q: must be pass or refuse", u.Mode)
	}
	if u.Known == "" {
		return nil
	}
	watch.add("unknown_clients "+u.Known, fixed(u.Known), u.read)
	return u.read()
}

func (u *UnknownClients) read() error {
	text, err := readAtMost(u.Known, maxKnown)
	if err != nil {
		return fmt.Errorf("unknown_clients: %w", err)
	}
	known := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	for n := 1; lines.Scan(); n++ {
		id := strings.TrimSpace(lines.Text())
		switch {
		case id == "" || id[0] == '#':
		case remarked(id):
			return fmt.Errorf("unknown_clients: %s, line %d has a comment after the client_id; a comment must have a line of its own", u.Known, n)
		case len(id) > maxKnownID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl):
			return fmt.Errorf("unknown_clients: %s, line %d must be a client_id", u.Known, n)
		default:
			known[id] = true
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("unknown_clients: %s: %w", u.Known, err)
	}
	u.known.Store(&known)
	return nil
}

// remarked tells whether a # follows a blank: no client_id looks so, and the whole line
// would be one that nobody has.
func remarked(line string) bool {
	blank := false
	for _, c := range line {
		if blank && c == '#' {
			return true
		}
		blank = unicode.IsSpace(c)
	}
	return false
}

// knows tells whether a client_id passes in any case; of nil none does.
func (u *UnknownClients) knows(id string) bool {
	if u == nil {
		return false
	}
	file := u.known.Load()
	return u.own[id] || file != nil && (*file)[id]
}

// provisionUnknownClients reads who is known beside the registry.
func (h *Handler) provisionUnknownClients() error {
	if h.UnknownClients == nil {
		h.UnknownClients = new(UnknownClients)
	}
	h.UnknownClients.own = map[string]bool{}
	credentials := []*Credentials{h.AuthorizationServer.Client}
	if h.AccessToken != nil {
		credentials = append(credentials, h.AccessToken.Client)
	}
	for _, c := range credentials {
		if c != nil {
			h.UnknownClients.own[c.ID] = true
		}
	}
	return h.UnknownClients.provision(&h.app.files)
}

// unmarshal reads
//
//	unknown_clients pass|refuse [known <file>]
func (u *UnknownClients) unmarshal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || args[0] != "pass" && args[0] != "refuse" {
		return d.Errf("unknown_clients: must be pass or refuse, not %q", args)
	}
	u.Mode = args[0]
	switch {
	case len(args) == 3 && args[1] == "known" && args[2] != "":
		u.Known = args[2]
	case len(args) > 1:
		return d.Errf("unknown_clients %s: must be followed by known <file> or nothing, not %q", args[0], args[1:])
	}
	return noBlock(d)
}
