package verify

import (
	"context"
	"crypto"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// door is one of the two places where a JWS comes in. What is a trap for the one
// is a trap for the other.
type door struct {
	name, kid string
	key       crypto.Signer
	kind      refusal.Kind // of a refusal
	// payload is one that would be accepted.
	payload string
	// knock gives the JWS in, where the JWKs are the keys of its signer.
	knock func(t *testing.T, raw string, jwks ...string) error
}

// doors are the registration request, and the statement in a good request. At the
// second no key of the software may be asked for when the statement is refused.
func doors(t *testing.T) []door {
	good := statement(t, ssaClaims)
	return []door{{
		name: "request", kid: "tpp", key: softwareKey(), kind: refusal.InvalidClientMetadata,
		payload: jsonOf(with(requestClaims, "software_statement", good)),
		knock: func(t *testing.T, raw string, jwks ...string) error {
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
		knock: func(t *testing.T, raw string, jwks ...string) error {
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

// jwk is the door's key as its signer publishes it.
func (d door) jwk(members ...string) string {
	return jwkOf(d.key.Public(), append([]string{"kid", d.kid}, members...)...)
}

// header is a good one, with other members: name, JSON text, name, JSON text.
func (d door) header(pairs ...string) string {
	text := `{"alg":"PS256","kid":"` + d.kid + `","typ":"JWT"`
	for i := 0; i < len(pairs); i += 2 {
		text += `,"` + pairs[i] + `":` + pairs[i+1]
	}
	return text + "}"
}

// sign signs header and payload as they are with PS256, whatever the header says.
func (d door) sign(t *testing.T, header, payload string) string {
	return signJWS(t, header, payload, "PS256", d.key)
}

// claim is the payload with one claim replaced by JSON text, at the end.
func (d door) claim(t *testing.T, name, value string) string {
	t.Helper()
	var c map[string]json.RawMessage
	if err := json.Unmarshal([]byte(d.payload), &c); err != nil {
		t.Fatal(err)
	}
	delete(c, name)
	text := jsonOf(c)
	return strings.TrimSuffix(text, "}") + `,"` + name + `":` + value + "}"
}

// trap is a JWS that must be refused at both doors, for the reason in want; or be
// accepted where want is empty.
type trap struct {
	name string
	make func(t *testing.T, d door) string
	// jwks are the signer's keys. Default: the door's own.
	jwks func(d door) []string
	want string
	// door is the name of the only one. Default: both.
	door string
}

func spring(t *testing.T, traps []trap) {
	t.Helper()
	for _, tc := range traps {
		for _, d := range doors(t) {
			if tc.door != "" && tc.door != d.name {
				continue
			}
			t.Run(tc.name+" "+d.name, func(t *testing.T) {
				jwks := []string{d.jwk()}
				if tc.jwks != nil {
					jwks = tc.jwks(d)
				}
				err := d.knock(t, tc.make(t, d), jwks...)
				if tc.want != "" {
					wantRefusal(t, err, d.kind, tc.want)
				} else if err != nil {
					t.Errorf("refused: %v", err)
				}
			})
		}
	}
}

// The fixtures pass: what is refused elsewhere is refused for its trap alone.
func TestDoorsOpen(t *testing.T) {
	spring(t, []trap{
		{name: "plain", make: func(t *testing.T, d door) string { return d.sign(t, d.header(), d.payload) }},
		{name: "claim replaced", make: func(t *testing.T, d door) string { return d.sign(t, d.header(), d.claim(t, "iat", "1772362800")) }},
		{name: "other member", make: func(t *testing.T, d door) string { return d.sign(t, d.header("cty", `"json"`), d.payload) }},
		{name: "line end", make: func(t *testing.T, d door) string { return d.sign(t, d.header(), d.payload) + "\r\n" }},
	})
}
