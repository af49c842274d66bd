package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestOfficialToolsDN: a TPP sends the DN as Go prints it, and as Open Banking's
// conformance tool does, of the fields that Go's name has. Registered is the
// certificate's own, so that the client gets its tokens, and PUT takes what was answered.
func TestOfficialToolsDN(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		leaf := p.Acme.Transport.Leaf
		own, err := directory.SubjectDN(leaf.RawSubject)
		if err != nil {
			t.Fatal(err)
		}
		const claim = "tls_client_auth_subject_dn"
		post := func(dn string, status int) (id string) {
			t.Helper()
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			body, err := p.Acme.Request(map[string]any{claim: dn})
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
			if err != nil || r.Status != status {
				t.Fatalf("%s: %v, %v, want %d", dn, r, err, status)
			}
			if status == http.StatusCreated && (r.Text(claim) != own || r.Text("tls_client_auth_dn") != own) {
				t.Errorf("%s is answered as %s, want %s", dn, r.Text(claim), own)
			}
			return r.Text("client_id")
		}
		works := func(id string) {
			t.Helper()
			token, err := p.ClientToken(t.Context(), p.Acme, id)
			if err != nil {
				t.Fatal(err)
			}
			body, err := p.Acme.Request(map[string]any{claim: own})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := p.Client(p.Acme).Update(t.Context(), p.Register, id, token, body); err != nil || r.Status != http.StatusOK {
				t.Errorf("PUT with the answer's DN: %v, %v, want 200", r, err)
			}
		}
		printed, fields := leaf.Subject.String(), leaf.Subject.ToRDNSequence().String()
		if printed == own || fields == printed {
			t.Fatalf("Go prints %s, of the fields %s: nothing is tested", printed, fields)
		}
		works(post(printed, http.StatusCreated))
		post(fields, http.StatusBadRequest)
		reload(t, p, gateway.Workspace("lenient "+claim))
		works(post(fields, http.StatusCreated))
	})
}

// TestRefusedDNIsSentBack: what a refusal says to send is accepted, whatever the
// subject has in it.
func TestRefusedDNIsSentBack(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	for _, version := range []string{"3.2", "3.4"} {
		reload(t, p, gateway.Workspace("version "+version))
		register := p.Issuer + "/openbankinguk/dcr/v" + version + "/register"
		for _, org := range []string{`Zoë, "Pay" & Söhne + #1; <x>\ `, "#1", "O'Neill", strings.Repeat("ä", 64)} {
			enrolled, err := p.Directory.Enrol(directory.Enrolment{OrgName: org})
			if err != nil {
				t.Fatal(err)
			}
			software := &tpp.Software{Software: enrolled, Audience: story.Bank}
			client := software.Client(p.ClientOptions())
			post := func(dn string) *tpp.Response {
				t.Helper()
				token, _, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				body, err := software.Request(map[string]any{"tls_client_auth_subject_dn": dn})
				if err != nil {
					t.Fatal(err)
				}
				r, err := client.Register(t.Context(), register, token, body)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			refused := post("CN=another")
			send := regexp.MustCompile(`; send '([^']+)', or leave the claim out$`).FindStringSubmatch(refused.Text("error_description"))
			if refused.Status != http.StatusBadRequest || send == nil {
				t.Fatalf("%s, %s: %v, want 400", version, org, refused)
			}
			if r := post(send[1]); r.Status != http.StatusCreated {
				t.Errorf("%s, %s: %s is refused: %v, want 201", version, org, send[1], r)
			}
			client.Close()
		}
	}
}
