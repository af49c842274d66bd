package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// emptyValues are what a directory writes for a claim that it has nothing for.
var emptyValues = []string{`null`, `""`, `" "`, `[]`, `[ ]`, `[""]`, `["", null]`, `{}`, `{ }`}

// TestEmptyStatementClaimsAreAbsent: whatever could bind does not, in whatever form it is
// empty, and what the gateway reads of a statement beside that is absent.
func TestEmptyStatementClaimsAreAbsent(t *testing.T) {
	t.Parallel()
	names := append([]string{
		"software_jwks_endpoint", "org_jwks_endpoint", "software_jwks_revoked_endpoint", "organisation_competent_authority_claims",
		"software_client_uri", "software_logo_uri", "software_policy_uri", "software_tos_uri", "org_status", "software_mode",
	}, RegistrationNames...)
	request := with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=x")
	for _, name := range names {
		for _, value := range emptyValues {
			in := metadataInput(t, request, with(ssaClaims, name, json.RawMessage(value)))
			if _, err := CheckMetadata(context.Background(), in); err != nil {
				t.Errorf("%s %s: %v", name, value, err)
			}
		}
	}
	for _, value := range emptyValues {
		in := metadataInput(t, request, with(ssaClaims, "software_roles", json.RawMessage(value)))
		got, err := CheckMetadata(context.Background(), in)
		if err != nil || got.Metadata.Scope != "openid" {
			t.Errorf("software_roles %s: %+v, %v", value, got, err)
		}
		in.Request.Claims = objectOf(t, jsonOf(with(request, "scope", "openid accounts")))
		_, err = CheckMetadata(context.Background(), in)
		wantRefusal(t, err, refusal.InvalidClientMetadata, "scope: 'accounts' is not covered by the software statement's software_roles")
		in = metadataInput(t, request, with(ssaClaims, "software_redirect_uris", json.RawMessage(value)))
		_, err = CheckMetadata(context.Background(), in)
		wantRefusal(t, err, refusal.InvalidRedirectURI, "the software statement has no software_redirect_uris")
		for _, needed := range []string{"software_id", "org_id", "software_client_name"} {
			s := &SoftwareStatement{Claims: objectOf(t, jsonOf(with(ssaClaims, needed, json.RawMessage(value)))), Issuer: &Issuer{}}
			if err := s.read(noon); err == nil || err.Error() != needed+" is missing" {
				t.Errorf("%s %s: %v, want %s is missing", needed, value, err, needed)
			}
		}
	}
	in := metadataInput(t, request, with(ssaClaims, "grant_types", []string{"", "client_credentials"}))
	_, err := CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "its grant_types binds and does not hold 'authorization_code'")
}

// TestBindWithUnusableEndpoint: a certificate that one JWKS has is bound, whatever is the
// matter with the other.
func TestBindWithUnusableEndpoint(t *testing.T) {
	cert := subjectCertificate(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "65d1f27c4aeA4549")))
	published := parseKeys(t, `{"x5c":["`+stdBase64(cert.Leaf.Raw)+`"],`+jwkOf(ecKey().Public(), "use", "tls")[1:])
	signing := parseKeys(t, jwkOf(softwareKey().Public(), "use", "sig"))
	const software, org = "https://keystore.example/software.jwks", "https://keystore.example/org.jwks"
	down := func(err error) func() (KeySource, error) {
		return func() (KeySource, error) { return &scriptedKeys{err: err, refreshErr: err}, nil }
	}
	unusable := map[string]func() (KeySource, error){
		"a refused host": func() (KeySource, error) { return nil, errors.New("host is not allowed") },
		"404":            down(errors.New("answered 404")), "no JWKS": down(errors.New("jwks: not a JSON object")), "no answer": down(context.DeadlineExceeded),
	}
	bind := func(software, org any, forms []string, endpoints map[string]func() (KeySource, error)) error {
		in := metadataInput(t, requestClaims, with(ssaClaims, "software_jwks_endpoint", software, "org_jwks_endpoint", org))
		in.Certificate, in.Bind = cert, forms
		in.Request.Statement.Issuer.SoftwareKeys = func(endpoint string) (KeySource, error) { return endpoints[endpoint]() }
		_, err := CheckMetadata(context.Background(), in)
		return err
	}
	has := func(keys []Key) func() (KeySource, error) {
		return func() (KeySource, error) { return FixedKeys(keys), nil }
	}
	for name, broken := range unusable {
		for at, endpoints := range map[string]map[string]func() (KeySource, error){
			"organisation": {software: has(published), org: broken}, "software": {software: broken, org: has(published)},
		} {
			if err := bind(software, org, []string{BindSSAJWKS}, endpoints); err != nil {
				t.Errorf("%s at the endpoint of the %s: %v", name, at, err)
			}
		}
		err := bind(software, org, []string{BindSSAJWKS}, map[string]func() (KeySource, error){software: has(signing), org: broken})
		if name == "a refused host" {
			wantRefusal(t, err, refusal.UnapprovedSoftwareStatement, "org_jwks_endpoint 'https://keystore.example/org.jwks' is not at a host that is accepted")
		} else {
			wantRefusal(t, err, refusal.Unavailable)
		}
		if err := bind(software, org, []string{BindCommonName}, map[string]func() (KeySource, error){software: broken, org: broken}); err != nil {
			t.Errorf("%s, where no JWKS is needed: %v", name, err)
		}
	}
	err := bind(software, org, []string{BindSSAJWKS}, map[string]func() (KeySource, error){software: unusable["a refused host"], org: unusable["404"]})
	wantRefusal(t, err, refusal.Unavailable) // there it may be: the client is to come back
	for _, value := range append(emptyValues, "absent") {
		var endpoint any = json.RawMessage(value)
		if value == "absent" {
			endpoint = absent{}
		}
		if err := bind(software, endpoint, []string{BindSSAJWKS}, map[string]func() (KeySource, error){software: has(published)}); err != nil {
			t.Errorf("org_jwks_endpoint %s: %v", value, err)
		}
	}
	in := BindCertificate(t.Context(), []string{BindSSAJWKS}, cert, &SoftwareStatement{}, &scriptedKeys{err: errors.New("down")}, FixedKeys(published))
	if in != nil {
		t.Error(fmt.Errorf("in the other order: %w", in))
	}
}
