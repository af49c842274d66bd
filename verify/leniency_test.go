package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What an operator lets a request leave out may be left out, nothing else; and
// what is there is checked as ever.
func TestLeniency(t *testing.T) {
	const uuidID = "9b2f1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"
	for _, tc := range []struct {
		name    string
		lenient Leniency
		changes []any
		ssa     []any
		word    string // empty: accepted
	}{
		{"aud, strict", nil, []any{"aud", absent{}}, nil, "aud: missing"},
		{"aud, lenient", Leniency{"aud"}, []any{"aud", absent{}}, nil, ""},
		{"aud of another bank, lenient", Leniency{"aud"}, []any{"aud", "https://other.example"}, nil, "aud: 'https://other.example'"},
		{"aud null, lenient", Leniency{"aud"}, []any{"aud", nil}, nil, ""},
		{"jti, strict", LenientClaims[:1], []any{"jti", absent{}}, nil, "jti: missing"},
		{"jti, lenient", Leniency{"jti"}, []any{"jti", absent{}}, nil, ""},
		{"jti empty, lenient", Leniency{"jti"}, []any{"jti", ""}, nil, "jti: '' is not a UUID v4"},
		{"application_type, strict", nil, []any{"application_type", absent{}}, nil, "application_type: missing"},
		{"application_type, lenient", Leniency{"application_type"}, []any{"application_type", absent{}}, nil, ""},
		{"application_type other, lenient", Leniency{"application_type"}, []any{"application_type", "desktop"}, nil, "application_type: 'desktop'"},
		{"request_object_signing_alg, strict", nil, []any{"request_object_signing_alg", absent{}}, nil, "request_object_signing_alg: missing"},
		{"request_object_signing_alg, lenient", Leniency{"request_object_signing_alg"}, []any{"request_object_signing_alg", absent{}}, nil, ""},
		{"request_object_signing_alg none, lenient", LenientClaims, []any{"request_object_signing_alg", "none"}, nil, "request_object_signing_alg: 'none'"},
		{"software_id a UUID, strict", nil, []any{"iss", uuidID}, []any{"software_id", uuidID}, "iss: '" + uuidID + "' is not 1 to 22 letters and digits"},
		{"software_id a UUID, lenient", Leniency{"software_id"}, []any{"iss", uuidID}, []any{"software_id", uuidID}, ""},
		{"software_id a UUID in braces, lenient", Leniency{"software_id"}, []any{"iss", "{" + uuidID + "}"}, []any{"software_id", "{" + uuidID + "}"}, "letters and digits"},
		{"software_id a sentence, lenient", Leniency{"software_id"}, []any{"iss", strings.Repeat("a b ", 9)}, []any{"software_id", strings.Repeat("a b ", 9)}, "letters and digits"},
		{"iss is never left out", LenientClaims, []any{"iss", absent{}}, nil, "iss: missing; send the software_id, '"},
		{"exp is never left out", LenientClaims, []any{"exp", absent{}}, nil, "exp: missing"},
		{"iat is never left out", LenientClaims, []any{"iat", absent{}}, nil, "iat: missing"},
		{"grant_types is never left out", LenientClaims, []any{"grant_types", absent{}}, nil, "grant_types: missing"},
		{"id_token_signed_response_alg is never left out", LenientClaims, []any{"id_token_signed_response_alg", absent{}}, nil, "id_token_signed_response_alg: missing"},
		{"everything lenient is left out", LenientClaims, []any{"aud", absent{}, "jti", absent{}, "application_type", absent{}, "request_object_signing_alg", absent{}}, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules(t)
			r.Lenient = tc.lenient
			request, err := VerifyRequest(context.Background(), registration(t, with(requestClaims, tc.changes...), with(ssaClaims, tc.ssa...)), r, noon)
			var checked *Checked
			if err == nil {
				in := MetadataInput{Request: request, Supported: DefaultSupportedMetadata()}
				in.Supported.Lenient = tc.lenient
				checked, err = CheckMetadata(context.Background(), in)
			}
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m := checked.Metadata; m.ApplicationType != "web" || m.RequestObjectSigningAlg != "PS256" {
				t.Errorf("defaults: %+v", m)
			}
		})
	}
}

// Without a jti the request itself is single-use: a copy has the same name,
// another request another.
func TestLenientJTI(t *testing.T) {
	r := rules(t)
	r.Lenient = Leniency{"jti"}
	name := func(raw []byte) string {
		request, err := VerifyRequest(context.Background(), raw, r, noon)
		if err != nil {
			t.Fatal(err)
		}
		return request.JTI
	}
	ssa := statement(t, ssaClaims)
	first := registration(t, with(requestClaims, "jti", absent{}, "software_statement", ssa), nil)
	again := registration(t, with(requestClaims, "jti", absent{}, "software_statement", ssa), nil) // signed again: PSS is random
	other := registration(t, with(requestClaims, "jti", absent{}, "software_statement", ssa, "exp", noon.Unix()+1800), nil)
	if string(first) == string(again) {
		t.Fatal("the signatures are equal")
	}
	if name(first) != name(append(first[:len(first):len(first)], "\r\n"...)) || name(first) != name(again) {
		t.Error("a copy has another name")
	}
	if name(first) == name(other) || !strings.HasPrefix(name(first), "sha256:") {
		t.Errorf("names %s and %s", name(first), name(other))
	}
}
