package jwks_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// sign makes a JWS with the signing key; the header says what it wants.
func sign(t *testing.T, header, payload map[string]any) string {
	t.Helper()
	segment := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := segment(header) + "." + segment(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(signES256(t, input))
}

// A statement names the URL of keys that the gateway is to fetch, and a header may
// name more. Nothing is asked for before the statement has verified, and then only
// what the statement names, at an allowed host.
func TestNothingIsFetchedBeforeTrust(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := newDirectory(t, text(set("tpp"), ""))
	evil := newDirectory(t, text(set("tpp"), ""))
	keys, err := verify.ParseJWKS([]byte(set("dir")))
	if err != nil {
		t.Fatal(err)
	}
	ssa := map[string]any{
		"iss": "Directory", "iat": now.Unix(), "software_id": "abc", "org_id": "org", "software_client_name": "TPP", "software_jwks_endpoint": d.URL + "/abc.jwks",
	}
	body := map[string]any{"iss": "abc", "aud": "bank", "iat": now.Unix(), "exp": now.Unix() + 60, "jti": "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"}
	with := func(base map[string]any, name string, value any) map[string]any {
		out := maps.Clone(base)
		out[name] = value
		return out
	}
	tpp, dir := map[string]any{"alg": "ES256", "kid": "tpp"}, map[string]any{"alg": "ES256", "kid": "dir"}
	request := func(header map[string]any, statement string) string {
		return sign(t, header, with(body, "software_statement", statement))
	}
	good := sign(t, dir, ssa)
	jwk := json.RawMessage(set("tpp")[len(`{"keys":[`) : len(set("tpp"))-len("]}")])
	for _, tc := range []struct {
		name, raw      string
		asked          int32
		status, answer int // of the server; of the verdict, 0 for accepted
	}{
		{"good", request(tpp, good), 1, 200, 0},
		{"signature of the statement is bad", request(tpp, good[:len(good)-8]+"AAAAAAAA"), 0, 200, 400},
		{"statement by a kid that is not there", request(tpp, sign(t, with(dir, "kid", "x"), ssa)), 0, 200, 400},
		{"statement of another issuer", request(tpp, sign(t, dir, with(ssa, "iss", "x"))), 0, 200, 400},
		{"statement with jku", request(tpp, sign(t, with(dir, "jku", evil.URL), ssa)), 0, 200, 400},
		{"statement with x5u", request(tpp, sign(t, with(dir, "x5u", evil.URL), ssa)), 0, 200, 400},
		{"statement with jwk", request(tpp, sign(t, with(dir, "jwk", jwk), ssa)), 0, 200, 400},
		{"request with jku", request(with(tpp, "jku", evil.URL), good), 0, 200, 400},
		{"request with x5u", request(with(tpp, "x5u", evil.URL), good), 0, 200, 400},
		{"request with jwk", request(with(tpp, "jwk", jwk), good), 0, 200, 400},
		{"keys at a host that is not allowed", request(tpp, sign(t, dir, with(ssa, "software_jwks_endpoint", "https://localhost"+evil.named()[len("https://example.com"):]))), 0, 200, 400},
		{"claims that look like addresses of keys", sign(t, tpp, with(with(body, "jwks_uri", evil.URL), "software_statement", sign(t, dir, with(ssa, "jwks_uri", evil.URL)))), 1, 200, 0},
		{"no keys now", request(tpp, good), 1, 503, 503},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d.asked.Store(0)
			d.set(text(set("tpp"), ""))
			if tc.status != 200 {
				d.set(status(tc.status))
			}
			sources := jwks.NewSources(client(t, jwks.Options{PrivateRanges: true}, d, evil), []string{"127.0.0.1"}, d.clock)
			rules := &verify.RequestRules{
				Issuers:   []*verify.Issuer{{Name: "Directory", Keys: verify.FixedKeys(keys), SoftwareKeys: sources.Source}},
				Audiences: []string{"bank"},
			}
			_, err := verify.VerifyRequest(context.Background(), []byte(tc.raw), rules, now)
			if e := refusal.From(err); (err == nil) != (tc.answer == 0) || err != nil && e.Status() != tc.answer || tc.answer == 503 && e.RetryAfter < time.Second {
				t.Errorf("got %v", err)
			}
			if n, m := d.asked.Load(), evil.asked.Load(); n != tc.asked || m != 0 {
				t.Errorf("%d requests for keys, %d to the other server", n, m)
			}
		})
	}
}
