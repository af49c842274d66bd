package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What an operator demands of a directory's statements beside a good signature.
func TestStatementDemands(t *testing.T) {
	active := Demand{"org_status", []string{"Active"}}
	live := Demand{"software_mode", []string{"Live", "Test"}}
	for _, tc := range []struct {
		name    string
		demands []Demand
		ssa     []any
		word    string // empty: accepted
	}{
		{"nothing demanded", nil, []any{"org_status", "Revoked"}, ""},
		{"active", []Demand{active}, []any{"org_status", "Active"}, ""},
		{"revoked", []Demand{active}, []any{"org_status", "Revoked"}, "software_statement: its org_status is 'Revoked'; this server accepts Active"},
		{"in another case", []Demand{active}, []any{"org_status", "active"}, "org_status is 'active'"},
		{"absent", []Demand{active}, nil, "org_status is missing; this server accepts Active"},
		{"null", []Demand{active}, []any{"org_status", nil}, "org_status is missing"},
		{"a list", []Demand{active}, []any{"org_status", []string{"Active"}}, "org_status is no text"},
		{"one of several", []Demand{live}, []any{"software_mode", "Test"}, ""},
		{"none of several", []Demand{live}, []any{"software_mode", "Sandbox"}, "software_mode is 'Sandbox'; this server accepts Live, Test"},
		{"both demands", []Demand{active, live}, []any{"org_status", "Active", "software_mode", "Dead"}, "software_mode is 'Dead'"},
		{"another organisation", []Demand{{"org_id", []string{"0015800000jfQ9aAAF"}}}, nil, "org_id is '0015800000jfQ9aAAE'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			issuers := directories(t)
			issuers[1].Demands = tc.demands
			_, err := VerifySoftwareStatement(context.Background(), []byte(statement(t, with(ssaClaims, tc.ssa...))), issuers, noon)
			if tc.word != "" {
				wantRefusal(t, err, refusal.UnapprovedSoftwareStatement, tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A statement without a list of redirect URIs needs the operator's word for it,
// and one with a list is held to it all the same.
func TestUnlistedRedirectURIs(t *testing.T) {
	for _, tc := range []struct {
		name         string
		unlisted     bool
		request, ssa any
		word         string // empty: accepted
	}{
		{"listed, absent", true, absent{}, []string{"https://tpp.example/a"}, ""},
		{"listed, another", true, []string{"https://tpp.example/b"}, []string{"https://tpp.example/a"}, "is not in the software statement's"},
		{"unlisted, named", true, []string{"https://tpp.example/b"}, absent{}, ""},
		{"empty list, named", true, []string{"https://tpp.example/b"}, []string{}, ""},
		{"unlisted, absent", true, absent{}, absent{}, "redirect_uris: missing"},
		{"unlisted, none", true, []string{}, absent{}, "redirect_uris: missing"},
		{"unlisted, second is bad", true, []string{"https://tpp.example/b", "https://127.0.0.1/"}, absent{}, "has an IP address"},
		{"unlisted, not allowed", false, []string{"https://tpp.example/b"}, absent{}, "the software statement has no software_redirect_uris"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(requestClaims, "redirect_uris", tc.request), with(ssaClaims, "software_redirect_uris", tc.ssa))
			in.Request.Statement.Issuer.UnlistedRedirectURIs = tc.unlisted
			got, err := CheckMetadata(context.Background(), in)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidRedirectURI, tc.word)
			} else if err != nil || len(got.Metadata.RedirectURIs) != 1 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// unsecured is a JWS without a signature (RFC 7515 appendix A.5).
func unsecured(header string, c claims) string { return b64(header) + "." + b64(jsonOf(c)) + "." }

// An unsigned statement counts for an issuer whose block says so, in a request
// that is signed with that issuer's own keys.
func TestUnsignedStatement(t *testing.T) {
	const none = `{"alg":"none"}`
	own := signJWS(t, ssaHeader, jsonOf(ssaClaims), "PS256", directoryKey())
	input, _, _ := strings.Cut(own, own[strings.LastIndexByte(own, '.'):])
	for _, tc := range []struct {
		name     string
		allowed  bool
		unsigned bool // the request is, too
		ssa      string
		signer   string // kid of the request's key
		kind     refusal.Kind
		word     string // empty: accepted
	}{
		{"signed by the organisation", true, false, unsecured(none, ssaClaims), "dir", 0, ""},
		{"typ JWT", true, false, unsecured(`{"alg":"none","typ":"JWT"}`, ssaClaims), "dir", 0, ""},
		{"signed statement of the same issuer", true, false, own, "tpp", 0, ""},
		{"signed with what the statement names", true, false, unsecured(none, ssaClaims), "tpp", refusal.InvalidClientMetadata, "registration request is signed with a key that is not in the JWKS"},
		{"in an unsigned request", true, true, unsecured(none, ssaClaims), "", refusal.InvalidSoftwareStatement, "unsigned, and so is the request"},
		{"not allowed", false, false, unsecured(none, ssaClaims), "dir", refusal.InvalidSoftwareStatement, "has an empty signature"},
		{"unknown issuer", true, false, unsecured(none, with(ssaClaims, "iss", "x")), "dir", refusal.UnapprovedSoftwareStatement, "its issuer 'x'"},
		{"issuer that signs", true, false, unsecured(none, with(ssaClaims, "iss", "Other Directory")), "dir", refusal.InvalidSoftwareStatement, "has an empty signature"},
		{"its signature taken away", true, false, input + ".", "dir", refusal.InvalidSoftwareStatement, "has an empty signature"},
		{"alg None", true, false, unsecured(`{"alg":"None"}`, ssaClaims), "dir", refusal.InvalidSoftwareStatement, "has an empty signature"},
		{"none with a signature", true, false, unsecured(none, ssaClaims) + "AAAA", "dir", refusal.InvalidSoftwareStatement, "has alg 'none'"},
		{"four segments", true, false, unsecured(none, ssaClaims) + ".", "dir", refusal.InvalidSoftwareStatement, "three segments"},
		{"crit", true, false, unsecured(`{"alg":"none","crit":["x"]}`, ssaClaims), "dir", refusal.InvalidSoftwareStatement, "has an empty signature"},
		{"jku", true, false, unsecured(`{"alg":"none","jku":"https://x"}`, ssaClaims), "dir", refusal.InvalidSoftwareStatement, "has an empty signature"},
		{"padded", true, false, unsecured(`{"alg":"none"} `, ssaClaims)[:19] + "=" + unsecured(none, ssaClaims)[18:], "dir", refusal.InvalidSoftwareStatement, "base64url"},
		{"other demands hold", true, false, unsecured(none, with(ssaClaims, "org_id", "other")), "dir", refusal.UnapprovedSoftwareStatement, "its org_id is 'other'"},
		{"keys where no other statement may have them", true, false, unsecured(none, with(ssaClaims, "software_jwks_endpoint", "https://169.254.169.254/")), "dir", refusal.UnapprovedSoftwareStatement, "software_jwks_endpoint 'https://169.254.169.254/' is not at a host"},
		{"expired", true, false, unsecured(none, with(ssaClaims, "exp", noon.Unix())), "dir", refusal.InvalidSoftwareStatement, "expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules(t)
			r.Unsigned = tc.unsigned
			r.Issuers[1].Unsigned = tc.allowed
			r.Issuers[1].Demands = []Demand{{"org_id", []string{"0015800000jfQ9aAAE"}}}
			claims := jsonOf(with(requestClaims, "software_statement", tc.ssa))
			raw := claims
			switch tc.signer {
			case "dir":
				raw = signJWS(t, `{"alg":"PS256","kid":"dir"}`, claims, "PS256", directoryKey())
			case "tpp":
				raw = signJWS(t, requestHeader, claims, "PS256", softwareKey())
			}
			got, err := VerifyRequest(context.Background(), []byte(raw), r, noon)
			if tc.word != "" {
				wantRefusal(t, err, tc.kind, tc.word)
			} else if err != nil || got.Statement.Unsigned != strings.HasSuffix(tc.ssa, ".") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
