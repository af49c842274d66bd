package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestPolicies: a bank's own rules refuse, narrow and watch, and each new configuration
// brings its own.
func TestPolicies(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		id := registers(t, p, client, nil).Text("client_id")

		t.Run("refuses", func(t *testing.T) {
			reload(t, p, gateway.Workspace("policy cel `ssa.software_mode == \"Test\"` {", "\ttext \"only test software may register here; ask the bank\"", "}"))
			r := answered(t, registers(t, p, client, nil), nil, http.StatusBadRequest, "unapproved_software_statement")
			if r.Text("error_description") != "only test software may register here; ask the bank" {
				t.Errorf("got %v, want the policy's own text", r)
			}
			token, err := p.ClientToken(t.Context(), p.Acme, id)
			if err != nil {
				t.Fatal(err)
			}
			body, err := p.Acme.Request(nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err = client.Update(t.Context(), p.Register, id, token, body)
			answered(t, r, err, http.StatusBadRequest, "unapproved_software_statement")
			// What is registered stays so, and nobody asked a policy.
			r, err = client.Read(t.Context(), p.Register, id, token)
			answered(t, r, err, http.StatusOK, "")
			clients, err := p.AS.Clients(t.Context())
			if err != nil || len(clients) != 1 {
				t.Errorf("the authorization server has %v, %v, want one", clients, err)
			}
			says(t, p.Gateway, `ssa.software_mode == \"Test\" is false (line `)
		})

		t.Run("refuses as the policy says", func(t *testing.T) {
			reload(t, p, gateway.Workspace("policy cel `registration.scope.contains(\"accounts\") ? reject(\"scope: accounts are not open yet; register without\") : allow()`"))
			r := answered(t, registers(t, p, client, nil), nil, http.StatusBadRequest, "invalid_client_metadata")
			if r.Text("error_description") != "scope: accounts are not open yet; register without" {
				t.Errorf("got %v, want the policy's own text", r)
			}
		})

		t.Run("every operation", func(t *testing.T) {
			reload(t, p, gateway.Workspace("policy cel `client == null || operation != \"read\" && ssa.org_id == client.org_id && client.metadata.scope == \"\"` {", "\ton read delete", "}"))
			token, err := p.ClientToken(t.Context(), p.Acme, id)
			if err != nil {
				t.Fatal(err)
			}
			r, err := client.Read(t.Context(), p.Register, id, token)
			answered(t, r, err, http.StatusForbidden, "access_denied")
			r, err = client.Delete(t.Context(), p.Register, id, token)
			answered(t, r, err, http.StatusForbidden, "access_denied")
		})

		t.Run("narrows", func(t *testing.T) {
			reload(t, p, gateway.Workspace("policy cel `allow().scopes([\"openid\"]).grants([\"client_credentials\", \"refresh_token\"])` {", "\tname little", "}", "policy cel `registration.scope == \"openid\"`"))
			r := answered(t, registers(t, p, client, nil), nil, http.StatusCreated, "")
			narrowed := r.Text("client_id")
			token, err := p.ClientToken(t.Context(), p.Acme, narrowed)
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.Read(t.Context(), p.Register, narrowed, token)
			for _, r := range []map[string]any{r.JSON, answered(t, got, err, http.StatusOK, "").JSON, atAS(t, p, narrowed)} {
				if r["scope"] != "openid" || len(r["grant_types"].([]any)) != 2 {
					t.Errorf("got %v, %v, want the scope openid and two grant types", r["scope"], r["grant_types"])
				}
			}
			if m := metrics(t, p); !strings.Contains(m, `policy_decisions_total{mode="enforced",policy="little",verdict="narrowed",workspace="default/obuk"} 1`) {
				t.Errorf("got %s, want one decision of the policy little, narrowed", m)
			}
		})

		t.Run("watches", func(t *testing.T) {
			reload(t, p, gateway.Workspace("policy cel `false` {", "\tshadow", "\tname nobody", "\ton create read", "}", "policy cel `ssa.nothing == 1` {", "\tshadow", "\tname broken", "}"))
			made := answered(t, registers(t, p, client, nil), nil, http.StatusCreated, "")
			m := metrics(t, p)
			for _, line := range []string{`mode="shadow",policy="nobody",verdict="denied"`, `mode="shadow",policy="broken",verdict="failed"`} {
				if !strings.Contains(m, line) {
					t.Errorf("no %s in %s", line, m)
				}
			}
			entries := audited(t, p, "workspace=default/obuk")
			last := entries[len(entries)-1]
			objections := fmt.Sprint(last["would_refuse"])
			if last["change"] != "registered" || last["client_id"] != made.Text("client_id") || last["support_code"] != made.Header.Get("x-fapi-interaction-id") ||
				!strings.HasPrefix(objections, "[map[policy:nobody reason:false is false (line 1)] map[policy:broken reason:ssa.nothing == 1 fails") {
				t.Errorf("the audit trail has %v", last)
			}
			// What would have been refused is on record, also without explain on; reads are not.
			var kept []any
			err := story.Eventually(t.Context(), time.Minute, func() error {
				_, answer := operator(t, p, http.MethodGet, "explanations?workspace=default/obuk", "")
				if kept, _ = answer["entries"].([]any); len(kept) == 0 {
					return fmt.Errorf("got %v, want some entries", answer)
				}
				return nil
			})
			if text := fmt.Sprint(kept); err != nil || len(kept) != 1 || !strings.Contains(text, "outcome:accepted") || strings.Count(text, "verdict:would_refuse") != 2 {
				t.Errorf("got %v, %v, want one that is accepted, and that two policies would refuse", kept, err)
			}
			if _, answer := operator(t, p, http.MethodGet, "explanations?workspace=default/other", ""); len(answer["entries"].([]any)) != 0 {
				t.Errorf("got %v, want no entries", answer)
			}
			says(t, p.Gateway, "no such key: nothing")
		})

		t.Run("cannot decide", func(t *testing.T) {
			reload(t, p, gateway.Workspace("policy cel `ssa.nothing == 1`"))
			r := answered(t, registers(t, p, client, nil), nil, http.StatusBadRequest, "unapproved_software_statement")
			if strings.Contains(string(r.Body), "nothing") {
				t.Errorf("the TPP reads of the policy: %v", r)
			}
		})

		t.Run("broken file", func(t *testing.T) {
			file := filepath.Join(p.Dir, "new.cel")
			if err := os.WriteFile(file, []byte("// Only these.\nssa.org_id in\n  [\"a\" \"b\"]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			caddyfile := edited(t, p.Caddyfile, gateway.Workspace("policy cel file "+file))
			err := p.Reload(t.Context(), caddyfile)
			if err == nil || !strings.Contains(err.Error(), "new.cel:3:8: ") {
				t.Errorf("got %v, want an error at new.cel:3:8", err)
			}
		})
	})
}

// TestOneClientForEachSoftware: many at once have one client, and a repeated POST has
// its answer.
func TestOneClientForEachSoftware(t *testing.T) {
	words := gateway.Workspace("reregister return", "policy cel `software.clients == 0` {", "\ttext \"one client for each software; delete the other one first\"", "}")
	once(t, story.Options{Binary: raceDetecting(t), Edits: []gateway.Edit{gateway.Unlimited, words}}, func(t *testing.T, p *story.Play) {
		var tokens, bodies []string
		for i := range crowd {
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			scope := []string{"openid", "openid accounts"}[i%2] // a repetition only of every second one
			body, err := p.Acme.Request(map[string]any{"scope": scope})
			if err != nil {
				t.Fatal(err)
			}
			tokens, bodies = append(tokens, token), append(bodies, body)
		}
		count, ids := tally(atOnce(t, p, tokens, bodies))
		if len(ids) != 1 || count["201"]+count["400 unapproved_software_statement"] != crowd || count["201"] > crowd/2 {
			t.Errorf("%v, %d clients, want one client", count, len(ids))
		}
		clients, err := p.AS.Clients(t.Context())
		if err != nil || len(clients) != 1 {
			t.Errorf("the authorization server has %d clients, %v, want one", len(clients), err)
		}
	})
}

// TestPolicyAgainstRegistry: a candidate is held to what is registered, the certificate
// included.
func TestPolicyAgainstRegistry(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	client := p.Client(p.Acme)
	first := registers(t, p, client, nil).Text("client_id")
	second := registers(t, p, client, map[string]any{"scope": "openid"}).Text("client_id")
	test := func(expression string, more ...string) (string, error) {
		file := filepath.Join(p.Dir, "candidate.cel")
		if err := os.WriteFile(file, []byte(expression), 0o600); err != nil {
			t.Fatal(err)
		}
		return p.Gateway.Command(t.Context(), append([]string{"dcr", "policy", "test", "--policy", file, "--against", "registry", "--workspace", "default/obuk", "--config", "Caddyfile"}, more...)...)
	}
	out, err := test(`certificate.organization_identifier == "PSDGB-FCA-123456" && certificate.ca_spki.size() > 0 && ssa.org_status == "Active" && client == null && software.clients == 1 && operation == "create"`)
	if err != nil || !strings.Contains(out, "0 of 2 registrations would be refused, 0 cannot be decided") {
		t.Errorf("got %s, %v, want 0 of 2 refused, 0 undecided", out, err)
	}
	out, err = test(`registration.scope != "openid" && client.client_id != ""`, "--operation", "update")
	if err == nil || !strings.Contains(out, second) || strings.Contains(out, first) || !strings.Contains(out, "1 of 2 registrations would be refused") {
		t.Errorf("got %s, %v, want an error, and %s alone refused", out, err, second)
	}
	out, err = test(`token.client_id == "registrar"`)
	if err == nil || !strings.Contains(out, "0 of 2 registrations would be refused, 2 cannot be decided") {
		t.Errorf("got %s, %v, want an error, and 0 of 2 refused, 2 undecided", out, err)
	}
	if out, err = test(`sssa.x == 1`); err == nil || !strings.Contains(out, "candidate.cel:1:1: undeclared reference") {
		t.Errorf("got %s, %v, want an undeclared reference at candidate.cel:1:1", out, err)
	}
	out, err = test(`true`, "--workspace", "default/none")
	if err == nil || !strings.Contains(out, "default/none") {
		t.Errorf("got %s, %v, want an error that names default/none", out, err)
	}
	// What the admin API has of one is the base of a case, as it is.
	status, body, err := p.Operator(t.Context(), http.MethodGet, "registrations?workspace=default/obuk", "")
	if err != nil || status != http.StatusOK {
		t.Fatalf("got %v, %v, want 200", status, err)
	}
	var page struct {
		Entries []struct {
			Input json.RawMessage `json:"input"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(body, &page); err != nil || len(page.Entries) != 2 {
		t.Fatalf("got %s, %v, want two entries", body, err)
	}
	bank := filepath.Join(p.Dir, "bank")
	if err := os.MkdirAll(filepath.Join(bank, "cases"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"policy.cel": `client.client_id in ["` + first + `", "` + second + `"] && certificate.ca_spki.size() > 0 && ssa.org_status == "Active"`, "input.json": string(page.Entries[0].Input),
		"cases/registered.json": `{"base": "../input.json", "want": {"allowed": true}}`,
	} {
		if err := os.WriteFile(filepath.Join(bank, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := p.Gateway.Command(t.Context(), "dcr", "policy", "test", bank); err != nil || !strings.Contains(out, "1 case of 1 policy, 0 failed\n") {
		t.Errorf("got %s, %v, want 1 case of 1 policy, 0 failed", out, err)
	}
	// It is no more than what is there.
	token, err := p.ClientToken(t.Context(), p.Acme, second)
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Delete(t.Context(), p.Register, second, token)
	answered(t, r, err, http.StatusNoContent, "")
	if out, err = test(`software.clients == 0`); err != nil || !strings.Contains(out, "0 of 1 registrations") {
		t.Errorf("got %s, %v, want 0 of 1 refused", out, err)
	}
}

// TestPolicyCommand: the binary tests policies as the documentation says.
func TestPolicyCommand(t *testing.T) {
	t.Parallel()
	binary, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		command := exec.CommandContext(t.Context(), binary, append([]string{"dcr"}, args...)...)
		command.Dir = checkout.Root()
		out, err := command.CombinedOutput()
		return string(out), err
	}
	test := func(folder string) (string, error) { return run("policy", "test", folder) }
	if out, err := test("docs/policies"); err != nil || !strings.Contains(out, " cases of 18 policies, 0 failed\n") {
		t.Errorf("got %s, %v, want the cases of 18 policies, 0 failed", out, err)
	}
	var exit *exec.ExitError
	if out, err := test("docs"); err != nil {
		t.Errorf("got %s, %v, want no error", out, err)
	}
	if out, err := test(t.TempDir()); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("got %s, %v, want exit code 1", out, err)
	}
	for _, slip := range [][]string{{"policy", "tset", "docs/policies"}, {"polcy", "test", "docs/policies"}} {
		if out, err := run(slip...); !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("got %s, %v, want exit code 2", out, err)
		}
	}
	if out, err := run("policy"); err != nil {
		t.Errorf("got %s, %v, want no error", out, err)
	}
}

// atAS is a client as the authorization server has it.
func atAS(t *testing.T, p *story.Play, id string) map[string]any {
	t.Helper()
	clients, err := p.AS.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if c["client_id"] == id {
			return c
		}
	}
	t.Fatalf("the authorization server has no %s", id)
	return nil
}
