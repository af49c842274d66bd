package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// ClientImport is a file of clients that is to be imported.
type ClientImport struct {
	// From is the file. It is read once to check it, and once more to write it. Required.
	From io.ReadSeeker
	// Workspace is that of lines that name none. Default: the only one that there are rules of.
	Workspace string
	// Rules are those of the configured workspaces. Required.
	Rules map[string]ImportRules
	// Act is the operator's, for the audit trail. Required to write.
	Act Act
	// Progress is called now and then. written is how many clients are, 0 while the file is
	// checked. It must not block, and may be called from several goroutines. Default: none.
	Progress func(checked, written int)
}

// importCheck is a check of a whole file.
type importCheck struct {
	ClientImport
	r      *Registry
	report ImportReport
	sum    [sha256.Size]byte
	// seen are the client_ids of the file, and what they fold to, hashed.
	seen map[[16]byte]bool
	// software is how many new clients each has.
	software map[softwareName]int
	// written is how many clients were written.
	written atomic.Int64
}

// CheckImport reads a whole file and tells what an import of it would do. It writes nothing.
//
// Errors: those of From and of the store; clientfile.ErrNoClients, ErrNewer and ErrTooLarge.
func (r *Registry) CheckImport(ctx context.Context, o ClientImport) (*ImportReport, error) {
	k, err := r.checkImport(ctx, o)
	if err != nil {
		return nil, err
	}
	return &k.report, nil
}

func (r *Registry) checkImport(ctx context.Context, o ClientImport) (*importCheck, error) {
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	k := &importCheck{ClientImport: o, r: r, seen: map[[16]byte]bool{}, software: map[softwareName]int{}}
	k.report = ImportReport{State: "checked", Errors: []ImportProblem{}, Warnings: []ImportProblem{}}
	var err error
	if k.sum, err = k.hash(ctx); err != nil {
		return nil, err
	}
	k.report.ID = importID(k.sum, o.Workspace)
	read, err := k.each(ctx, k.look)
	if err != nil {
		return nil, err
	}
	if k.report.Clients = read.Clients(); read.Sum() != k.sum {
		return nil, errImportChanged
	}
	return k, k.countSoftware(ctx)
}

var errImportChanged = errors.New("registry: the file has changed while it was read: import a file that nobody writes to")

// importID names an import by its file, so that the same file goes on with it.
func importID(file [sha256.Size]byte, workspace string) string {
	sum := sha256.Sum256(append(file[:], workspace...))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// hash reads the file once: what was written of it before is found by its name.
func (k *importCheck) hash(ctx context.Context) (sum [sha256.Size]byte, err error) {
	if _, err := k.From.Seek(0, io.SeekStart); err != nil {
		return sum, err
	}
	h := sha256.New()
	for {
		n, err := io.CopyN(h, k.From, 16<<20)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return sum, err
		case ctx.Err() != nil:
			return sum, context.Cause(ctx)
		case n < 16<<20:
			return [sha256.Size]byte(h.Sum(nil)), nil
		}
	}
}

// each reads the file from its beginning, and calls f for each client that can be written. What
// is wrong with the others is in the report, as often as each is called.
func (k *importCheck) each(ctx context.Context, f func(context.Context, *clientfile.Client, *importedClient) error) (*clientfile.Reader, error) {
	if _, err := k.From.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	in, err := clientfile.NewReader(k.From)
	if err != nil {
		return nil, err
	}
	if missing := missingKeys(in.Header().KeysetIDs, k.r.sealer); in.Header().Sealed && len(missing) > 0 {
		return nil, fmt.Errorf("%w, and the gateway's lacks its key %s: import it at a gateway that has the key, or export without --secrets sealed", ErrSealedElsewhere, ids(missing))
	}
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l, err := in.Next()
		var wrong *clientfile.LineError
		switch {
		case errors.Is(err, io.EOF):
			return in, nil
		case errors.As(err, &wrong):
			k.report.fault(wrong.Line, wrong.ClientID, wrong.Err.Error())
			continue
		case err != nil:
			return nil, err
		}
		if err := k.one(ctx, in.Line(), l, f); err != nil {
			return nil, err
		}
		if in.Clients()%256 == 0 {
			k.Progress(in.Clients(), int(k.written.Load()))
		}
	}
}

func (k *importCheck) one(ctx context.Context, line int, l *clientfile.Client, f func(context.Context, *clientfile.Client, *importedClient) error) error {
	if l.Workspace == "" {
		l.Workspace = k.workspace()
	}
	rules, ok := k.Rules[l.Workspace]
	if !ok {
		k.report.fault(line, l.ClientID, k.noWorkspace(l.Workspace))
		return nil
	}
	m, err := k.r.readLine(l, &rules)
	if err != nil {
		k.report.fault(line, l.ClientID, err.Error())
		return nil
	}
	m.line = line
	return f(ctx, l, m)
}

// workspace is that of a line that names none; empty where that must.
func (k *importCheck) workspace() string {
	if k.Workspace == "" && len(k.Rules) == 1 {
		for name := range k.Rules {
			return name
		}
	}
	return k.Workspace
}

func (k *importCheck) noWorkspace(name string) string {
	var names []string
	for one := range k.Rules {
		names = append(names, one)
	}
	slices.Sort(names)
	if name == "" {
		return "workspace is missing; there are " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("workspace %s is not configured; there are %s", refusal.Quote(name), strings.Join(names, ", "))
}

// look finds out what would become of a client.
func (k *importCheck) look(ctx context.Context, l *clientfile.Client, m *importedClient) error {
	c := m.client
	if why := k.duplicate(c); why != "" {
		k.report.fault(m.line, c.ClientID, why)
		return nil
	}
	var found lookup
	err := k.r.store.View(ctx, func(v Reader) (err error) {
		found, err = k.r.lookUp(v, k.report.ID, m)
		return err
	})
	switch {
	case err != nil:
		return err
	case found.imported:
		k.report.Imported++
		return nil
	case found.problem != "":
		k.report.fault(m.line, c.ClientID, found.problem)
		return nil
	case found.present:
		k.report.Present++
		return nil
	}
	for _, text := range m.warnings {
		k.report.warning(m.line, c.ClientID, text)
	}
	k.count(m)
	return nil
}

// count adds a client that would be written.
func (k *importCheck) count(m *importedClient) {
	p := &k.report
	p.New++
	if m.credentials.Bridge != "" {
		p.Bridge++
	} else {
		p.Native++
	}
	if m.suspended {
		p.Suspended++
	}
	if !m.managed() {
		p.WithoutCertificate++
	}
	if m.credentials.RegistrationAccessToken == "" {
		p.WithoutToken++
	}
	k.software[m.client.software()]++
}

// duplicate tells whether the file has the client_id, or one that an AS could take for it, once
// more.
func (k *importCheck) duplicate(c *Client) string {
	hash := func(kind, id string) (name [16]byte) {
		sum := sha256.Sum256([]byte(key(kind, c.Workspace, id)))
		copy(name[:], sum[:])
		return name
	}
	exact, folded := hash("id", c.ClientID), hash("alike", verify.Fold(c.ClientID))
	switch {
	case k.seen[exact]:
		return "client_id is in the file more than once; leave one of the lines"
	case k.seen[folded]:
		return "client_id differs from another one of the file only in case, accents or blanks; an authorization server may take them for one, leave out both"
	}
	k.seen[exact], k.seen[folded] = true, true
	return ""
}

// countSoftware warns of software that would have more clients than registrations may make.
func (k *importCheck) countSoftware(ctx context.Context) error {
	for n, more := range k.software {
		limit := k.Rules[n.workspace].ClientsPerSoftware
		if limit <= 0 {
			continue
		}
		var has int
		err := k.r.store.View(ctx, func(v Reader) (err error) {
			has, err = k.r.clientsOf(v, n)
			return err
		})
		if err != nil {
			return err
		}
		if has+more > limit {
			k.report.warning(0, "", fmt.Sprintf("software %s of %s would have %d clients, more than the %d of clients_per_software; it can register no more", refusal.Quote(n.id), refusal.Quote(n.directory), has+more, limit))
		}
	}
	return nil
}
