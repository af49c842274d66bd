package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// draft is a registration request in the making, which may be broken in several
// places at once.
type draft struct {
	story.Call
	claims    map[string]any
	statement map[string]any
	// forgedStatement and forged are signed with a key that nobody publishes.
	forgedStatement, forged bool
	notJWS, huge            bool
	// bare sends the claims as JSON, unsigned.
	bare bool
}

// strangersKey is one that nobody publishes. To make it costs more than the rest of a test.
var strangersKey = sync.OnceValues(func() (directory.Key, error) { return directory.NewKey("PS256") })

// finish writes the body.
func (d *draft) finish(t *testing.T, p *story.Play) story.Call {
	t.Helper()
	stranger, err := strangersKey()
	if err != nil {
		t.Fatal(err)
	}
	sign := func(forge bool, key directory.Key, claims map[string]any) string {
		t.Helper()
		signer := key
		if forge {
			signer = stranger
		}
		raw, err := signer.Sign(claims, map[string]any{"kid": key.ID})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	d.claims["software_statement"] = sign(d.forgedStatement, p.Directory.Signing, p.Acme.StatementClaims(d.statement))
	claims, err := p.Acme.RequestClaims(d.claims)
	if err != nil {
		t.Fatal(err)
	}
	if d.Body = sign(d.forged, p.Acme.Signing, claims); d.bare {
		raw, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		d.Body, d.ContentType = string(raw), "application/json"
	}
	if d.notJWS {
		d.Body = strings.ReplaceAll(d.Body, ".", "")
	}
	if d.huge {
		d.Body += strings.Repeat("A", 64<<10)
	}
	return d.Call
}

// stage is one step of the work: how a request fails there, and what it is told.
type stage struct {
	name  string
	spoil func(*draft)
	row   row
}

// The steps in the order of the protocol. Those of the connection and the token
// come before the body for POST and PUT alike; see TestEarlierCheckDecides.
var (
	sizeStage        = stage{"size", func(d *draft) { d.huge = true }, tooLarge}
	typeStage        = stage{"media type", func(d *draft) { d.ContentType = "application/json" }, wrongType}
	certificateStage = stage{"certificate", func(d *draft) { d.As = nil }, noCertificate}
	tokenStage       = stage{"token", func(d *draft) { d.Token = "" }, noToken}
	bodyStages       = []stage{
		{"strict split", func(d *draft) { d.notJWS = true }, row{400, "invalid_client_metadata", "", "registration request is not a compact JWS"}},
		{"issuer of the statement", func(d *draft) { d.statement["iss"] = "Unknown Directory" }, row{400, "unapproved_software_statement", "", "software_statement: "}},
		{"signature of the statement", func(d *draft) { d.forgedStatement = true }, row{400, "invalid_software_statement", "", "software_statement: "}},
		{"signature of the request", func(d *draft) { d.forged = true }, row{400, "invalid_client_metadata", "", "registration request has a signature"}},
		{"claims", func(d *draft) {
			d.claims["iat"], d.claims["exp"] = time.Now().Add(-2*time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
		}, row{400, "invalid_client_metadata", "", "exp: "}},
		{"metadata", func(d *draft) { d.claims["response_types"] = []string{"token"} }, row{400, "invalid_client_metadata", "", "response_types: "}},
	}
)

// TestEarlierCheckDecides: cheapest and least trusting first. A request that is broken in
// two places is told the earlier one, for every pair; and nothing of it stays.
func TestEarlierCheckDecides(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	reload(t, p, gateway.Workspace("rate_limit off")) // these are more requests than a TPP sends at once
	const replayed = "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"
	prepare := func() (token string) {
		t.Helper()
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := &draft{Call: story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: prepare()}, claims: map[string]any{"jti": replayed}}
	r, err := p.Make(t.Context(), first.finish(t, p))
	id := answered(t, r, err, 201, "").Text("client_id")
	management, err := p.ClientToken(t.Context(), p.Acme, id)
	if err != nil {
		t.Fatal(err)
	}
	internal, err := p.InternalRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The AS refuses every change, so that only what comes before it is told otherwise.
	fault := authserverprocess.Fault{PathContains: strings.TrimPrefix(internal, story.Prefix), Times: -1, Status: 400, Body: `{"error":"invalid_client_metadata","error_description":"no"}`}
	if err := p.AS.Fault(t.Context(), fault); err != nil {
		t.Fatal(err)
	}
	last := []stage{
		{"replay", func(d *draft) { d.claims["jti"] = replayed }, row{400, "invalid_client_metadata", "", "jti: "}},
		{"authorization server", func(*draft) {}, row{400, "invalid_client_metadata", "", "the authorization server refuses"}},
	}
	unused := prepare()
	for _, c := range []struct {
		method, url string
		token       string
		stages      []stage
	}{
		{http.MethodPost, p.Register, unused, append([]stage{sizeStage, typeStage, certificateStage, tokenStage}, append(bodyStages, last...)...)},
		// Whoever is not the client is told nothing about its request.
		{http.MethodPut, p.Register + "/" + id, management, append([]stage{certificateStage, tokenStage, sizeStage, typeStage}, append(bodyStages, last...)...)},
	} {
		for i, early := range c.stages {
			for _, late := range c.stages[i+1:] {
				t.Run(c.method+" "+early.name+" before "+late.name, func(t *testing.T) {
					d := &draft{Call: story.Call{Method: c.method, URL: c.url, As: p.Acme, Token: c.token}, claims: map[string]any{}, statement: map[string]any{}}
					late.spoil(d)
					early.spoil(d)
					r, err := p.Make(t.Context(), d.finish(t, p))
					if err := early.row.isIn(p, r, err); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	if err := p.AS.ResetFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 {
		t.Errorf("%d clients at the authorization server, %v, want one", len(clients), err)
	}
	good := &draft{Call: story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: unused}, claims: map[string]any{}}
	r, err = p.Make(t.Context(), good.finish(t, p))
	answered(t, r, err, 201, "")
}
