package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// tppCertificate has one name of each kind.
func tppCertificate(t testing.TB) *Certificate {
	t.Helper()
	cert, err := ReadCertificate(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp"))), ecKey(), func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"tpp.example", "*.wild.example"}, []string{"ops@tpp.example"}
		c.IPAddresses, c.URIs = []net.IP{net.IPv4(192, 0, 2, 1)}, []*url.URL{{Scheme: "https", Host: "tpp.example", Path: "/id"}}
	}), noon)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Exactly one name of the presented certificate can be registered (RFC 8705 2.1.2).
func TestSubjectNames(t *testing.T) {
	const dnClaim = "tls_client_auth_subject_dn"
	for _, tc := range []struct {
		name    string
		changes []any
		word    string // empty: accepted, and the only name
	}{
		{"DNS name", []any{sanDNS, "tpp.example"}, ""},
		{"DNS name in capitals", []any{sanDNS, "TPP.example"}, ""},
		{"URI", []any{sanURI, "https://tpp.example/id"}, ""},
		{"IP address", []any{sanIP, "192.0.2.1"}, ""},
		{"mapped IP address", []any{sanIP, "::ffff:192.0.2.1"}, ""},
		{"email", []any{sanEmail, "ops@TPP.example"}, ""},
		{"another DNS name", []any{sanDNS, "other.example"}, sanDNS + ": 'other.example' is not a name of the presented certificate"},
		{"covered by a wildcard", []any{sanDNS, "a.wild.example"}, "is not a name of the presented certificate"},
		{"the wildcard itself", []any{sanDNS, "*.wild.example"}, "has a wildcard"},
		{"a part of it", []any{sanDNS, "example"}, "is not a name of the presented certificate"},
		{"DNS name as URI", []any{sanURI, "tpp.example"}, sanURI + ": 'tpp.example' is no URI with a scheme"},
		{"no DNS name", []any{sanDNS, "tpp..example"}, "is no DNS name"},
		{"no IP address", []any{sanIP, "tpp.example"}, "is no IP address"},
		{"no email", []any{sanEmail, "tpp.example"}, "is no email address"},
		{"empty", []any{sanDNS, ""}, "empty; send the name"},
		{"too long", []any{sanDNS, string(make([]byte, 257))}, "257 bytes, at most 256 are read"},
		{"not ASCII", []any{sanDNS, "t\u0440p.example"}, "not printable ASCII"},
		{"a list", []any{sanDNS, []string{"tpp.example"}}, sanDNS + ": is an array, not a string"},
		{"a number", []any{sanIP, 1}, sanIP + ": is a number, not a string"},
		{"two of them", []any{sanDNS, "tpp.example", sanIP, "192.0.2.1"}, sanIP + ": " + sanDNS + " is there too; exactly one name"},
		{"one and the DN", []any{sanDNS, "tpp.example", dnClaim, "CN=tpp"}, dnClaim + ": " + sanDNS + " is there too"},
		{"one and the DN's older name", []any{sanEmail, "ops@tpp.example", "tls_client_auth_dn", "CN=tpp"}, dnClaim + ": " + sanEmail + " is there too"},
		{"with another method", []any{sanDNS, "tpp.example", "token_endpoint_auth_method", "private_key_jwt"}, sanDNS + ": only goes with"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(with(requestClaims, "token_endpoint_auth_method", "tls_client_auth"), tc.changes...), ssaClaims)
			in.Certificate, in.Supported.SubjectNames = tppCertificate(t), SubjectNames
			got, err := CheckMetadata(context.Background(), in)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			claim, value := got.Metadata.SAN()
			if claim != tc.changes[0] || value != tc.changes[1] || got.Metadata.TLSClientAuthSubjectDN != "" || got.RawSubject != nil {
				t.Errorf("got %s %s, %+v", claim, value, got)
			}
			// Whoever presents it is the client, and nobody else.
			a := &Authenticator{ClientID: "c", Method: "tls_client_auth", SANClaim: claim, SAN: value}
			other, err := ReadCertificate(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp"))), ecKey()), noon)
			if err != nil {
				t.Fatal(err)
			}
			if !a.Presents(in.Certificate) || a.Presents(other) {
				t.Error("the guard does not know the client by it")
			}
		})
	}
}

// What the AS cannot compare is not registered; without certificates nothing is compared.
func TestSubjectNamesElsewhere(t *testing.T) {
	request := with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", sanDNS, "tpp.example")
	in := metadataInput(t, request, ssaClaims)
	in.Certificate = tppCertificate(t)
	_, err := CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, sanDNS+": not supported by this server; send tls_client_auth_subject_dn")
	in.Supported.SubjectNames = slices.Clone(SubjectNames)
	in.Request.Statement.Claims = in.Request.Statement.Claims.With(sanDNS, []byte(`"other.example"`))
	_, err = CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "software_statement: its "+sanDNS+" binds and does not hold 'tpp.example'")
	in.Certificate, in.Request.Statement.Claims = nil, in.Request.Statement.Claims.Without(sanDNS)
	if got, err := CheckMetadata(context.Background(), in); err != nil || got.Metadata.TLSClientAuthSANDNS != "tpp.example" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A PUT without a signature cannot bring a new DN, even one of the JWKS.
func TestSubjectDNOfAnUnsignedPUT(t *testing.T) {
	future := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "future"))), ecKey())
	keys := parseKeys(t, `{"x5c":["`+stdBase64(future.Raw)+`"],`+jwkOf(ecKey().Public(), "kid", "d", "use", "tls")[1:])
	for _, tc := range []struct {
		name     string
		put      bool
		unsigned bool
		refused  bool
	}{
		{"signed POST", false, false, false}, {"signed PUT", true, false, false},
		{"unsigned POST", false, true, false}, {"unsigned PUT", true, true, true},
	} {
		in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=future"), ssaClaims)
		in.Certificate, in.Request.Unsigned = tppCertificate(t), tc.unsigned
		in.Request.Statement.Issuer.SoftwareKeys = sourceOf(keys)
		if tc.put {
			in.Registered = &Registered{ClientID: "c", SoftwareID: "65d1f27c4aeA4549", OrgID: "0015800000jfQ9aAAE"}
		}
		_, err := CheckMetadata(context.Background(), in)
		if tc.refused {
			t.Run(tc.name, func(t *testing.T) {
				wantRefusal(t, err, refusal.InvalidClientMetadata, "is not the subject of the presented certificate")
			})
		} else if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// bind_certificate is held before the other names are looked at, each form through
// what the statement names.
func TestBindingRule(t *testing.T) {
	transport := func(subject ...[]dntest.Attribute) *Certificate {
		cert, err := ReadCertificate(issue(t, dntest.Subject(t, subject...), ecKey()), noon)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	own := transport(dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-OB-0015800000jfQ9aAAE")), dntest.RDN(dntest.UTF8String("2.5.4.3", "65d1f27c4aeA4549")))
	other := transport(dntest.RDN(dntest.UTF8String("2.5.4.3", "other")))
	published := parseKeys(t, `{"x5c":["`+stdBase64(own.Leaf.Raw)+`"],`+jwkOf(ecKey().Public(), "kid", "d", "use", "tls")[1:])
	for _, tc := range []struct {
		name string
		bind []string
		cert *Certificate
		word string // empty: accepted
	}{
		{"no form", nil, other, ""},
		{"all forms", BindingForms, own, ""},
		{"common name", []string{BindCommonName}, other, "client_certificate: has CN 'other', but the software statement is for '65d1f27c4aeA4549'"},
		{"organisation", []string{BindOrganizationIdentifier}, other, "client_certificate: has no organizationIdentifier in its subject"},
		{"JWKS", []string{BindSSAJWKS}, other, "client_certificate: not among the tls certificates in the JWKS"},
		{"none presented", []string{BindCommonName}, nil, "client_certificate: missing"},
		{"unknown form", []string{"thumbprint"}, own, "client_certificate: cannot be bound"},
		{"another OU", []string{BindCommonName}, transport(dntest.RDN(dntest.UTF8String("2.5.4.11", "x")), dntest.RDN(dntest.UTF8String("2.5.4.3", "65d1f27c4aeA4549"))), "client_certificate: has OU 'x'"},
		{"another organisation", []string{BindOrganizationIdentifier}, transport(dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-FCA-1"))), "client_certificate: has organizationIdentifier 'PSDGB-FCA-1', which is not organisation '0015800000jfQ9aAAE'"},
		{"no PSP's identifier", []string{BindOrganizationIdentifier}, transport(dntest.RDN(dntest.UTF8String("2.5.4.97", "VATGB-1"))), "client_certificate: has an organizationIdentifier that cannot be compared: 'VATGB-1' is not like PSDGB-FCA-123456"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, requestClaims, ssaClaims)
			in.Certificate, in.Bind = tc.cert, tc.bind
			in.Request.Statement.Issuer.SoftwareKeys = sourceOf(published)
			_, err := CheckMetadata(context.Background(), in)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for name, authority := range map[string]any{
		"is a string": "x", "authority_id is a number": claims{"authority_id": 1}, "registration_id is a number": claims{"authority_id": "FCAGBR", "registration_id": 1},
	} {
		in := metadataInput(t, requestClaims, with(ssaClaims, "organisation_competent_authority_claims", authority))
		in.Certificate, in.Bind = transport(dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-FCA-1"))), []string{BindOrganizationIdentifier}
		_, err := CheckMetadata(context.Background(), in)
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, err, refusal.InvalidClientMetadata, "client_certificate: cannot be bound: the software statement's organisation_competent_authority_claims", name)
		})
	}
	in := metadataInput(t, requestClaims, with(ssaClaims, "org_jwks_endpoint", "https://keystore.example/org.jwks"))
	in.Certificate, in.Bind = own, []string{BindSSAJWKS}
	in.Request.Statement.Issuer.SoftwareKeys = func(endpoint string) (KeySource, error) {
		if endpoint == "https://keystore.example/org.jwks" {
			return published, nil
		}
		return &scriptedKeys{err: errors.New("down")}, nil
	}
	if _, err := CheckMetadata(context.Background(), in); err != nil {
		t.Errorf("in the organisation's JWKS: %v", err)
	}
	in.Certificate = other
	_, err := CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.Unavailable, "try again later")
	in.Request.Statement.Issuer.SoftwareKeys = func(string) (KeySource, error) { return nil, errors.New("host") }
	_, err = CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.UnapprovedSoftwareStatement, "software_jwks_endpoint 'https://keystore.example/0015/65d1.jwks' is not at a host")
}

// A key that the directory has revoked signs no request, where the operator asks.
func TestRevokedSigningKey(t *testing.T) {
	const endpoint = "https://keystore.example/revoked.jwks"
	named := with(ssaClaims, "software_jwks_revoked_endpoint", endpoint)
	set := func(text string) func(string) (KeySource, error) {
		keys, err := ParseRevokedJWKS([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return sourceOf(FixedKeys(keys))
	}
	for _, tc := range []struct {
		name    string
		ssa     claims
		revoked func(string) (KeySource, error)
		kind    refusal.Kind
		word    string // empty: accepted
	}{
		{"nobody asks", named, nil, 0, ""},
		{"no list", ssaClaims, set(jwkSet(jwkOf(softwareKey().Public(), "kid", "tpp"))), 0, ""},
		{"empty list", named, set(`{"keys":[]}`), 0, ""},
		{"another key", named, set(jwkSet(jwkOf(ecKey().Public(), "kid", "x"))), 0, ""},
		{"the key", named, set(jwkSet(jwkOf(softwareKey().Public(), "kid", "old"))), refusal.InvalidClientMetadata, "registration request is signed with a key that the directory has revoked (kid 'tpp')"},
		{"its kid", named, set(jwkSet(jwkOf(ecKey().Public(), "kid", "tpp"))), refusal.InvalidClientMetadata, "that the directory has revoked"},
		{"list that cannot be fetched", named, sourceOf(&scriptedKeys{err: errors.New("down")}), refusal.Unavailable, "the list of revoked keys cannot be fetched"},
		{"list elsewhere", named, func(string) (KeySource, error) { return nil, errors.New("host") }, refusal.UnapprovedSoftwareStatement, "software_jwks_revoked_endpoint '" + endpoint + "' is not at a host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules(t)
			r.Issuers[1].RevokedKeys = tc.revoked
			_, err := VerifyRequest(context.Background(), registration(t, requestClaims, tc.ssa), r, noon)
			if tc.word != "" {
				wantRefusal(t, err, tc.kind, tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	// Whoever is not the software does not learn about its keys, and causes no fetch.
	r := rules(t)
	r.Issuers[1].RevokedKeys = func(string) (KeySource, error) {
		t.Error("the list was asked for")
		return nil, nil
	}
	forged := signJWS(t, requestHeader, jsonOf(with(requestClaims, "software_statement", statement(t, named))), "PS256", directoryKey())
	_, err := VerifyRequest(context.Background(), []byte(forged), r, noon)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "does not verify")
}
