// Package interop_test holds what the gateway comes to in front of each of the
// authorization servers (AS) that others wrote, with the TPPs that others wrote, and
// prints it as a matrix. What a server cannot do has a name there, and is held to it:
// a server that can do it one day fails the test.
package interop_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// variant is an AS in one way to put it behind the gateway: a column of the matrix.
type variant struct {
	name    string
	options func(dir string) story.Options
	// bridged clients have a secret at the AS.
	bridged bool
	// deviations are the cells that are not ok, by row.
	deviations map[string]string
}

// native are the cells of every AS whose clients authenticate there themselves.
var native = map[string]string{"secret rotated, TPP does not notice": "there is none"}

var bridge = gateway.At("token_endpoint_auth").Set("bridge")

var variants = []variant{
	{
		name: "oidc-provider, header", options: func(string) story.Options { return story.Options{Kind: authserverprocess.OIDCProvider} },
	},
	{
		name: "oidc-provider, mTLS", options: func(dir string) story.Options {
			return story.Options{Kind: authserverprocess.OIDCProvider, Direct: true, AS: func(c *authserverprocess.Config) {
				c.TrustClientCertHeader, c.ClientCA = false, filepath.Join(dir, "ca.pem")
			}}
		},
	},
	{
		name: "oidc-provider, bridge", bridged: true, options: func(string) story.Options {
			return story.Options{Kind: authserverprocess.OIDCProvider, Edits: []gateway.Edit{bridge}}
		},
	},
	{
		name: "go-oidc, header", options: func(string) story.Options { return story.Options{Kind: authserverprocess.GoOIDC} },
	},
	{
		name: "go-oidc, bridge", bridged: true, options: func(string) story.Options {
			return story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{bridge}}
		},
	},
	{
		name: "glewlwyd, bridge", bridged: true, options: func(string) story.Options {
			return story.Options{
				Kind: authserverprocess.Glewlwyd, Claims: map[string]any{"response_types": []string{"code"}}, Scope: "accounts",
				Edits: []gateway.Edit{
					bridge, gateway.At("token_endpoint_auth").Add("bind_access_tokens"),
					// Its document leaves out what it can, and response types in several words what it cannot.
					gateway.At("authorization_server").Add("supports grant_types_supported authorization_code client_credentials refresh_token", "supports response_types_supported code"),
					gateway.At("client_id_header").Remove(), // it chooses
				},
			}
		},
		deviations: map[string]string{
			"certificate-bound token": "bound by the gateway",
			"scope= without a value":  "403 of the AS",
			"registered scope holds":  "the AS gives more",
		},
	},
}

// row is one thing that is tried, and what it came to: ok, or a deviation.
type row struct {
	name string
	run  func(context.Context, *stage) (string, error)
}

// stage is a variant at work.
type stage struct {
	*story.Play
	variant variant
}

func ok(err error) (string, error) { return "ok", err }

// rows are the steps of the story, then what follows it.
func rows() (out []row) {
	for _, step := range story.Steps {
		out = append(out, row{step.Title, func(ctx context.Context, s *stage) (string, error) { return ok(step.Run(s.Play, ctx)) }})
	}
	return append(out, further...)
}

func TestInterop(t *testing.T) {
	binary, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	cells := map[string]map[string]string{}
	t.Run("matrix", func(t *testing.T) {
		for _, v := range variants {
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				got := play(t, v, binary)
				mu.Lock()
				defer mu.Unlock()
				cells[v.name] = got
			})
		}
	})
	show(cells)
}

// play runs one variant and returns its cells.
func play(t *testing.T, v variant, binary string) map[string]string {
	dir := t.TempDir()
	o := v.options(dir)
	o.Binary, o.Dir = binary, dir
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	opened, err := story.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{Play: &story.Play{Stage: opened}, variant: v}
	defer func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
		log := s.Gateway.Log()
		if slices.ContainsFunc(s.Secrets(), func(secret string) bool { return strings.Contains(log, secret) }) {
			t.Error("a secret or a token is in the gateway's log")
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s\nthe authorization server's log:\n%s", log[max(0, len(log)-8<<10):], s.AS.Log())
		}
	}()
	cells := map[string]string{}
	for _, row := range rows() {
		cell, err := row.run(ctx, s)
		if err != nil {
			cell = "FAILED"
			t.Errorf("%s: %v", row.name, err)
		}
		want := v.deviations[row.name]
		if want == "" && !v.bridged {
			want = native[row.name]
		}
		want = cmp.Or(want, "ok")
		if err == nil && cell != want {
			t.Errorf("%s: %s, want %s", row.name, cell, want)
		}
		cells[row.name] = cell
	}
	return cells
}

// show prints the matrix, also of a run that failed.
func show(cells map[string]map[string]string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\n")
	for _, v := range variants {
		fmt.Fprintf(w, "\t%s", v.name)
	}
	for _, row := range rows() {
		fmt.Fprintf(w, "\n%.70s", row.name)
		for _, v := range variants {
			fmt.Fprintf(w, "\t%s", cells[v.name][row.name])
		}
	}
	fmt.Fprint(w, "\n\n")
	_ = w.Flush()
}
