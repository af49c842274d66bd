package verify

import (
	"context"
	"crypto"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// entryPoint is one of the two places where a JWS comes in. What is a attack for the one
// is a attack for the other.
type entryPoint struct {
	name, kid string
	key       crypto.Signer
	kind      refusal.Kind // of a refusal
	// payload is one that would be accepted.
	payload string
	// submit gives the JWS in, where the JWKs are the keys of its signer.
	submit func(t *testing.T, raw string, jwks ...string) error
}

// entryPoints are the registration request, and the statement in a good request. At the
// second no key of the software may be asked for when the statement is refused.
func entryPoints(t *testing.T) []entryPoint {
	good := statement(t, ssaClaims)
	return []entryPoint{{
		name: "request", kid: "tpp", key: softwareKey(), kind: refusal.InvalidClientMetadata,
		payload: jsonOf(with(requestClaims, "software_statement", good)),
		submit: func(t *testing.T, raw string, jwks ...string) error {
			t.Helper()
			r := rules(t)
			keys := parseKeys(t, jwks...)
			r.Issuers[1].SoftwareKeys = func(string) (KeySource, error) { return keys, nil }
			_, err := VerifyRequest(context.Background(), []byte(raw), r, noon)
			return err
		},
	}, {
		name: "statement", kid: "dir", key: directoryKey(), kind: refusal.InvalidSoftwareStatement,
		payload: jsonOf(ssaClaims),
		submit: func(t *testing.T, raw string, jwks ...string) error {
			t.Helper()
			r, asked := rules(t), false
			keys := r.Issuers[1].SoftwareKeys
			r.Issuers[1].Keys = parseKeys(t, jwks...)
			r.Issuers[1].SoftwareKeys = func(endpoint string) (KeySource, error) {
				asked = true
				return keys(endpoint)
			}
			_, err := VerifyRequest(context.Background(), registration(t, with(requestClaims, "software_statement", raw), nil), r, noon)
			if asked != (err == nil) {
				t.Errorf("asked for the software's keys: %v, with %v", asked, err)
			}
			return err
		},
	}}
}

// jwk is the entry point's key as its signer publishes it.
func (d entryPoint) jwk(members ...string) string {
	return jwkOf(d.key.Public(), append([]string{"kid", d.kid}, members...)...)
}

// header is a good one, with other members: name, JSON text, name, JSON text.
func (d entryPoint) header(pairs ...string) string {
	text := `{"alg":"PS256","kid":"` + d.kid + `","typ":"JWT"`
	for i := 0; i < len(pairs); i += 2 {
		text += `,"` + pairs[i] + `":` + pairs[i+1]
	}
	return text + "}"
}

// sign signs header and payload as they are with PS256, whatever the header says.
func (d entryPoint) sign(t *testing.T, header, payload string) string {
	return signJWS(t, header, payload, "PS256", d.key)
}

// claim is the payload with one claim replaced by JSON text, at the end.
func (d entryPoint) claim(t *testing.T, name, value string) string {
	t.Helper()
	var c map[string]json.RawMessage
	if err := json.Unmarshal([]byte(d.payload), &c); err != nil {
		t.Fatal(err)
	}
	delete(c, name)
	text := jsonOf(c)
	return strings.TrimSuffix(text, "}") + `,"` + name + `":` + value + "}"
}

// attack is a JWS that must be refused at both entry points, for the reason in want; or be
// accepted where want is empty.
type attack struct {
	name string
	make func(t *testing.T, d entryPoint) string
	// jwks are the signer's keys. Default: the entry point's own.
	jwks func(d entryPoint) []string
	want string
	// entryPoint is the name of the only one. Default: both.
	entryPoint string
}

func runAttacks(t *testing.T, attacks []attack) {
	t.Helper()
	for _, tc := range attacks {
		for _, d := range entryPoints(t) {
			if tc.entryPoint != "" && tc.entryPoint != d.name {
				continue
			}
			t.Run(tc.name+" "+d.name, func(t *testing.T) {
				jwks := []string{d.jwk()}
				if tc.jwks != nil {
					jwks = tc.jwks(d)
				}
				err := d.submit(t, tc.make(t, d), jwks...)
				if tc.want != "" {
					wantRefusal(t, err, d.kind, tc.want)
				} else if err != nil {
					t.Errorf("refused: %v", err)
				}
			})
		}
	}
}

// The fixtures pass: what is refused elsewhere is refused for its attack alone.
func TestEntryPointsAccept(t *testing.T) {
	runAttacks(t, []attack{
		{name: "plain", make: func(t *testing.T, d entryPoint) string { return d.sign(t, d.header(), d.payload) }},
		{name: "claim replaced", make: func(t *testing.T, d entryPoint) string { return d.sign(t, d.header(), d.claim(t, "iat", "1772362800")) }},
		{name: "other member", make: func(t *testing.T, d entryPoint) string { return d.sign(t, d.header("cty", `"json"`), d.payload) }},
		{name: "line end", make: func(t *testing.T, d entryPoint) string { return d.sign(t, d.header(), d.payload) + "\r\n" }},
	})
}
