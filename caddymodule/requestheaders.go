package caddymodule

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/gateway"
)

// Which headers of a request come from outside, and would speak for the gateway or for
// what stands before it. No list of them is whole: every server may read one more. So
// the AS should believe only who shows shared_header or a certificate of the gateway's
// (docs/authorization-server.md), and pass_headers turns the list round.

// RequestHeaders is what an operator says about them.
type RequestHeaders struct {
	// KeepHeaders are headers that pass although they could speak for a certificate, a
	// user or another path: those that an earlier handler of this site sets, forward_auth
	// for instance. Whoever sends them passes them too, unless that handler replaces
	// them. Default: none.
	KeepHeaders []string `json:"keep_headers,omitempty"`

	// PassHeaders are the only headers of requests that pass, beside those that the
	// gateway itself reads (see gateway.HeaderFilter) and those that it sets. Default: all pass
	// that are not known to speak for something.
	PassHeaders []string `json:"pass_headers,omitempty"`
}

func (c *RequestHeaders) check() error {
	for word, names := range map[string][]string{"keep_headers": c.KeepHeaders, "pass_headers": c.PassHeaders} {
		for _, name := range names {
			if strings.Trim(strings.ToLower(name), headerCharacters) != "" || len(name) > gateway.MaxHeaderName {
				return fmt.Errorf("%s %q: must have only letters, digits and dashes", word, name)
			}
			if canonical := http.CanonicalHeaderKey(name); canonical == "Connection" || canonical == "Upgrade" || canonical == "Transfer-Encoding" {
				return fmt.Errorf("%s %s: must not be a header of the connection, which is never forwarded unchanged", word, name)
			}
		}
	}
	return nil
}

const headerCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-"
