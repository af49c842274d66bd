package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// regoScopes are what the clients of these tests ask for.
var regoScopes = [2]string{"openid accounts", "openid"}

// refusing are rules that refuse one scope.
func refusing(scope string) string {
	return fmt.Sprintf("# What is not open yet.\npackage openbanking_dcr\n\ndeny contains %q if {\n\tinput.registration.scope == %q\n}\n", refusal(scope), scope)
}

func refusal(scope string) string { return "scope: " + scope + " is not open here; ask the bank" }

// regoBank is a bank that refuses one scope, and the file that says so.
func regoBank(t *testing.T, scope string) (p *story.Play, file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "dcr.rego")
	writeRules(t, file, refusing(scope))
	words := gateway.Workspace("policy rego file "+file+" {", "\ttimeout 1s", "}") // of a slow machine
	return learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Binary: raceDetecting(t), Dir: dir, Edits: []gateway.Edit{gateway.Unlimited, words}})), file
}

func writeRules(t *testing.T, file, rules string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
}

// refusesOnly holds that one scope is refused, and the other is not.
func refusesOnly(t *testing.T, p *story.Play, scope string) {
	t.Helper()
	for _, s := range regoScopes {
		r := registers(t, p, p.Client(p.Acme), map[string]any{"scope": s})
		if s != scope {
			answered(t, r, nil, http.StatusCreated, "")
		} else if answered(t, r, nil, http.StatusBadRequest, "unapproved_software_statement"); r.Text("error_description") != refusal(s) {
			t.Errorf("got %v, want %q", r, refusal(s))
		}
	}
}

// TestRegoPolicy: rules in a file refuse with their own text, let others in, and a
// request that they refused is good once they have changed.
func TestRegoPolicy(t *testing.T) {
	t.Parallel()
	p, file := regoBank(t, regoScopes[0])
	client := p.Client(p.Acme)
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Register(t.Context(), p.Register, token, body)
	answered(t, r, err, http.StatusBadRequest, "unapproved_software_statement")
	says := func(verdict, reason string) error {
		message := map[string]string{"denied": "policy", "failed": "cannot evaluate a policy"}[verdict]
		return logged(p, map[string]string{"msg": message, "policy": "rego-1", "support_code": r.Header.Get("X-Fapi-Interaction-Id"), "verdict": verdict, "reason": reason})
	}
	if err := story.Eventually(t.Context(), time.Minute, func() error { return says("denied", refusal(regoScopes[0])) }); err != nil {
		t.Error(err)
	}
	refusesOnly(t, p, regoScopes[0])
	clients, err := p.AS.Clients(t.Context())
	if err != nil || len(clients) != 1 || clients[0]["scope"] != regoScopes[1] {
		t.Errorf("the authorization server has %v, %v, want one", clients, err)
	}
	writeRules(t, file, refusing(regoScopes[1]))
	reload(t, p)
	refusesOnly(t, p, regoScopes[1])
	r, err = client.Register(t.Context(), p.Register, token, body)
	answered(t, r, err, http.StatusCreated, "")
	writeRules(t, file, "package openbanking_dcr\n\ndeny contains \"never\" if {\n\tinput.ssa.nothing == 1\n}\n")
	reload(t, p)
	r = answered(t, registers(t, p, client, nil), nil, http.StatusBadRequest, "unapproved_software_statement")
	if text := r.Text("error_description"); strings.Contains(text, "nothing") || strings.Contains(text, "never") {
		t.Errorf("the TPP reads of the policy: %v", r)
	}
	reason := `reads input.ssa.nothing, which the request does not have; read it as object.get(input.ssa, "nothing", "") (` + file + ":4)"
	if err := story.Eventually(t.Context(), time.Minute, func() error { return says("failed", reason) }); err != nil {
		t.Error(err)
	}
	m := metrics(t, p)
	for verdict, n := range map[string]int{"denied": 3, "allowed": 3, "failed": 1} {
		if want := fmt.Sprintf("policy_decisions_total{mode=\"enforced\",policy=\"rego-1\",verdict=%q,workspace=\"default/obuk\"} %d\n", verdict, n); !strings.Contains(m, want) {
			t.Errorf("got\n%s\nwant %s in it", m, want)
		}
	}
}

// TestRegoReloadThatFails: rules that are not good are told with file and line, and
// those of before go on.
func TestRegoReloadThatFails(t *testing.T) {
	t.Parallel()
	p, file := regoBank(t, regoScopes[0])
	for name, c := range map[string]struct{ rules, says string }{
		"syntax":     {"deny contains \"x\" if {\n\tinput.operation = = \"create\"\n}\n", ":4: rego_parse_error"},
		"a name":     {"deny contains \"x\" if {\n\tinput.operation == \"create\"\n\tinput.certificat.subject == \"\"\n}\n", ":5: rego_type_error: undefined ref: input.certificat.subject"},
		"a function": {"deny contains \"x\" if http.send({\"url\": \"http://localhost\"}) == 1\n", ":3: rego_type_error: undefined function http.send"},
		"data":       {"allow if data.banks.known[input.ssa.org_id]\n", ":3: rego_compile_error: data.banks.known: there is no such rule, and no such data"},
	} {
		t.Run(name, func(t *testing.T) {
			writeRules(t, file, "package openbanking_dcr\n\n"+c.rules)
			err := p.Reload(t.Context(), p.Caddyfile)
			if err == nil || !strings.Contains(err.Error(), file+c.says) {
				t.Errorf("got %v, want %s", err, file+c.says)
			}
			refusesOnly(t, p, regoScopes[0])
		})
	}
	writeRules(t, file, refusing(regoScopes[1]))
	reload(t, p)
	refusesOnly(t, p, regoScopes[1])
}

// TestRegoReloadUnderLoad changes the rules again and again while TPPs register and read:
// every request is answered by rules that were in force while it was under way.
func TestRegoReloadUnderLoad(t *testing.T) {
	const changes, enough = 6, 5 // answers of each kind between two changes
	p, file := regoBank(t, regoScopes[1])
	id, token := registered(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	l := &regoLoad{p: p, ctx: ctx, settled: make(chan settled), drafts: make(chan regoDraft)}
	read := func() error { return l.read(id, token) }
	var group sync.WaitGroup
	for _, work := range []func() error{l.prepare, l.register, l.register, l.register, l.register, read, read} {
		group.Go(func() {
			if err := work(); err != nil {
				t.Error(err)
				cancel()
			}
		})
	}
	for change := int64(0); ; change++ {
		for count := [2]int{}; min(count[0], count[1]) < enough && ctx.Err() == nil; {
			select {
			case s := <-l.settled:
				if s.change == change {
					count[s.kind]++
				}
			case <-ctx.Done():
			}
		}
		if change == changes || ctx.Err() != nil {
			break
		}
		l.phase.Add(1)
		writeRules(t, file, refusing(regoScopes[change%2]))
		if err := p.Reload(ctx, p.Caddyfile); err != nil {
			t.Error(err)
			break
		}
		l.phase.Add(1)
	}
	cancel()
	group.Wait()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("waited too long for %d answers of each kind between two changes", enough)
	}
	t.Logf("%d changes: %d registered, %d refused, %d read, %d repeated", changes, l.made.Load(), l.refused.Load(), l.reads.Load(), l.repeated.Load())
	clients, err := p.AS.Clients(t.Context())
	if err != nil || int64(len(clients)) != l.made.Load()+1 {
		t.Errorf("%d registrations were answered, the authorization server has %d clients, %v", l.made.Load()+1, len(clients), err)
	}
}

// regoLoad are TPPs that register and read until ctx ends.
type regoLoad struct {
	p   *story.Play
	ctx context.Context
	// phase is twice the number of changes of the rules, and odd during one.
	phase                          atomic.Int64
	drafts                         chan regoDraft
	settled                        chan settled
	made, refused, reads, repeated atomic.Int64
}

// settled is an answer during which the rules did not change; kind is of regoScopes.
type settled struct{ change, kind int64 }

type regoDraft struct {
	kind        int64
	token, body string
}

func (l *regoLoad) prepare() error {
	defer close(l.drafts)
	for n := int64(0); ; n++ {
		d := regoDraft{kind: n % 2}
		var err error
		for range 5 { // as in insist
			if d.token, _, err = l.p.Prepare(context.WithoutCancel(l.ctx)); err == nil {
				break
			}
		}
		if err == nil {
			d.body, err = l.p.Acme.Request(map[string]any{"scope": regoScopes[d.kind]})
		}
		if err != nil {
			return err
		}
		select {
		case l.drafts <- d:
		case <-l.ctx.Done():
			return nil
		}
	}
}

// insist sends a request until it is answered, on a connection of its own each time.
// Where the rules change meanwhile, net/http closes connections of which it has read no
// more than the header (respond has as many): the gateway has not seen that request,
// and it is as good as before. At any other time none may be without an answer. The
// phase is odd if there was a change.
func (l *regoLoad) insist(send func(context.Context, *tpp.Client) (*tpp.Response, error)) (r *tpp.Response, phase int64, err error) {
	options := l.p.ClientOptions()
	options.NoKeepAlive = true
	client := l.p.Acme.Client(options)
	for range 10 {
		phase = l.phase.Load()
		r, err = send(context.WithoutCancel(l.ctx), client)
		if phase != l.phase.Load() {
			phase |= 1
		}
		if err == nil || phase%2 == 0 {
			break
		}
		l.repeated.Add(1)
	}
	return r, phase, err
}

func (l *regoLoad) register() error {
	for d := range l.drafts {
		if err := l.registerOne(d); err != nil {
			return err
		}
	}
	return nil
}

func (l *regoLoad) registerOne(d regoDraft) error {
	r, phase, err := l.insist(func(ctx context.Context, c *tpp.Client) (*tpp.Response, error) {
		return c.Register(ctx, l.p.Register, d.token, d.body)
	})
	if err != nil {
		return err
	}
	refused := r.Status == http.StatusBadRequest && r.Text("error_description") == refusal(regoScopes[d.kind])
	switch {
	case refused:
		l.refused.Add(1)
	case r.Status == http.StatusCreated:
		l.made.Add(1)
	default:
		return fmt.Errorf("registration: %v", r)
	}
	if phase%2 == 1 {
		return nil // either rules are right
	}
	if refused != (d.kind == (phase/2+1)%2) {
		return fmt.Errorf("after %d changes, %s: %v", phase/2, regoScopes[d.kind], r)
	}
	select {
	case l.settled <- settled{phase / 2, d.kind}:
	case <-l.ctx.Done():
	}
	return nil
}

func (l *regoLoad) read(id, token string) error {
	for l.ctx.Err() == nil {
		r, _, err := l.insist(func(ctx context.Context, c *tpp.Client) (*tpp.Response, error) {
			return c.Read(ctx, l.p.Register, id, token)
		})
		if err != nil || r.Status != http.StatusOK || r.Text("client_id") != id {
			return fmt.Errorf("read: %v, %v, want 200", r, err)
		}
		l.reads.Add(1)
	}
	return nil
}
