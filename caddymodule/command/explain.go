package command

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/caddymodule/check"
	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// explanation are the flags of caddy dcr explain.
type explanation struct {
	runningGateway
	workspace                 string
	body, cert, token, remote string
	at                        string
	offline                   bool
	answers                   []string
	code                      string
	json                      bool
}

func explain() *cobra.Command {
	var e explanation
	c := &cobra.Command{
		Use:   "explain --config <file> --body <file> [--cert <file>] [--token <token>] | --code <support code>",
		Short: "Says how a registration request is decided, step by step",
		Long: `Decides a registration request (POST) as a configuration would, and prints every step:
what was looked at, the verdict, the rule and where the rule comes from. Nothing is
registered, and no store is opened: what is registered or suspended, and whether a jti was
used before, is not known. The gateway need not run. The directory's keys, the
authorization server's discovery document and its introspection are asked for; with
--offline only what --answer has.

With --code, prints the steps of requests that a running gateway has refused, by their
support code (x-fapi-interaction-id), where the workspace has explain on. Where it has
not, look for the support code in the gateway's log. If the rule is suspended, caddy dcr
clients show says what is suspended, since when, by whom and why.

The exit status is 0 when every check passes that needs no more than is given and asked
for here, and 1 when one refuses, or when something was missing for it; with --code it is 0 when there is something to print.`,
		Example: `  caddy dcr explain --config Caddyfile --body request.jose --cert tpp.pem --token @token.txt
  caddy dcr explain --config Caddyfile --body request.jose --at 2026-11-27T09:30:00Z --offline \
      --answer https://as.internal:9443/default/obuk/.well-known/openid-configuration=as.json \
      --answer https://keystore.directory.example/keys.jwks=directory.jwks \
      --answer https://keystore.directory.example/org/software.jwks=software.jwks
  caddy dcr explain --code 4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q belongs to no flag: a request is given with --body <file>, a support code with --code", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := e.run(c.Context())
			if err != nil {
				return err
			}
			return e.print(c.OutOrStdout(), found)
		},
	}
	e.runningGateway.flags(c)
	f := c.Flags()
	f.Lookup("config").Usage = "the configuration that decides; with --code, for the gateway's admin address"
	f.StringVar(&e.workspace, "workspace", "", "the workspace, where the configuration has several")
	f.StringVar(&e.body, "body", "", "the request's body, - for standard input")
	f.StringVar(&e.cert, "cert", "", "the client certificate in PEM, and those between it and its CA; default: not looked at")
	f.StringVar(&e.token, "token", "", "the registration token, or @file; default: not looked at")
	f.StringVar(&e.remote, "remote", "", "the sender's IP address")
	f.StringVar(&e.at, "at", "", "when the request came, like 2026-11-27T09:30:00Z; default: now")
	f.BoolVar(&e.offline, "offline", false, "ask no server")
	f.StringArrayVar(&e.answers, "answer", nil, "<url>=<file>: what a server would answer, in place of asking it; may be repeated")
	f.StringVar(&e.code, "code", "", "the support code of a request that a running gateway has refused")
	f.BoolVar(&e.json, "json", false, "print JSON")
	return c
}

func (e *explanation) run(ctx context.Context) ([]registry.Explanation, error) {
	if e.code != "" {
		if e.body != "" || e.workspace != "" {
			return nil, usage("--code goes with --address or --config alone: it finds requests of every workspace")
		}
		return e.kept(ctx)
	}
	if e.body == "-" && e.token == "@-" {
		return nil, usage("--body and --token cannot both come from standard input")
	}
	switch {
	case e.config == "" && e.body == "":
		return nil, usage("give --config and --body, or --code")
	case e.config == "":
		return nil, usage("--config is missing: the configuration that decides")
	case e.body == "":
		return nil, usage("--body is missing: the request to decide")
	}
	q, err := e.question()
	if err != nil {
		return nil, err
	}
	storage, err := os.MkdirTemp("", "caddy-dcr-explain")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(storage)
	app, err := provisioned(e.config, e.adapter, storage)
	if err != nil {
		return nil, err
	}
	one, err := app.Explain(ctx, e.workspace, *q)
	if err != nil {
		return nil, err
	}
	return []registry.Explanation{*one}, nil
}

// provisioned is the app of a configuration that is loaded and not started. storage is
// the folder that Caddy may write to.
func provisioned(config, adapter, storage string) (*caddymodule.App, error) {
	text, _, _, err := caddycmd.LoadConfig(config, adapter)
	if err != nil {
		return nil, err
	}
	return check.Provision(text, storage)
}

// question is what the flags ask.
func (e *explanation) question() (q *caddymodule.Question, err error) {
	q = &caddymodule.Question{Question: gateway.Question{Token: e.token}, Remote: e.remote, Answers: jwks.Answers{Offline: e.offline, Bodies: map[string][]byte{}}}
	if q.Body, err = read(e.body); err != nil {
		return nil, usage("--body: %w", err)
	}
	if _, err := os.Stat(e.token); e.token != "" && err == nil {
		return nil, usage("--token: there is a file of this name; to take the token from it write @%s", e.token)
	}
	if _, err := netip.ParseAddr(e.remote); e.remote != "" && err != nil {
		return nil, usage("--remote: %q is no IP address", e.remote)
	}
	if file, ok := strings.CutPrefix(e.token, "@"); ok {
		text, err := read(file)
		if err != nil {
			return nil, usage("--token: %w", err)
		}
		q.Token = strings.TrimSpace(string(text))
		if q.Token == "" {
			return nil, usage("--token: %s is empty", file)
		}
	}
	if e.cert != "" {
		if q.Chain, err = readChain(e.cert); err != nil {
			return nil, usage("--cert: %w", err)
		}
	}
	if e.at != "" {
		if q.At, err = time.Parse(time.RFC3339, e.at); err != nil {
			return nil, usage("--at: %q is no time like 2026-11-27T09:30:00Z", e.at)
		}
	}
	for _, answer := range e.answers {
		i := strings.LastIndex(answer, "=")
		if i < 0 {
			return nil, usage("--answer %q: must be <url>=<file>", answer)
		}
		if q.Answers.Bodies[answer[:i]], err = read(answer[i+1:]); err != nil {
			return nil, usage("--answer: %w", err)
		}
	}
	return q, nil
}

// maxFile is more than any of the files may have that count.
const maxFile = 1 << 20

func read(name string) ([]byte, error) {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: longer than %d bytes", name, maxFile)
	}
	return data, err
}

func readChain(name string) (chain []*x509.Certificate, err error) {
	data, err := read(name)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if chain == nil {
		return nil, fmt.Errorf("%s has no certificate in PEM", name)
	}
	return chain, nil
}

// kept are the explanations of a running gateway.
func (e *explanation) kept(ctx context.Context) ([]registry.Explanation, error) {
	api, err := e.open()
	if err != nil {
		return nil, err
	}
	page, _, err := get[struct {
		Entries []registry.Explanation `json:"entries"`
	}](ctx, api, "explanations", url.Values{"code": {e.code}})
	return page.Entries, err
}
