package verify

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Nothing outside the lists is registered, whatever a request and a statement hold.
func FuzzCheckMetadata(f *testing.F) {
	f.Add(jsonOf(requestClaims), jsonOf(ssaClaims))
	for _, changes := range [][]any{
		{"redirect_uris", []string{"https://tpp.example/cb"}, "scope", "openid accounts", "response_types", []string{"id_token code", "code"}},
		{"token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=x,O=Bank,C=GB"},
		{"redirect_uris", []string{"https://tpp.example/cb", "https://evil.example/cb"}}, {"scope", "openid fundsconfirmations"},
		{"grant_types", []string{"authorization_code", "implicit"}}, {"redirect_uris", []any{"https://tpp.example/cb", nil}}, {"scope", []string{"openid"}},
	} {
		f.Add(jsonOf(with(requestClaims, changes...)), jsonOf(ssaClaims))
	}
	f.Add(jsonOf(requestClaims), jsonOf(with(ssaClaims, "scope", "openid accounts", "grant_types", []string{"client_credentials"})))
	f.Add(jsonOf(requestClaims), jsonOf(with(ssaClaims, "software_redirect_uris", []string{"http://tpp.example/cb", "https://127.0.0.1/cb"})))
	keys := parseKeys(f, jwkOf(ecKey().Public()))
	acceptable := DefaultSupportedMetadata()
	f.Fuzz(func(t *testing.T, request, statement string) {
		claims, err := strictjson.Parse([]byte(request))
		if err != nil {
			return
		}
		s := &SoftwareStatement{Issuer: &Issuer{SoftwareKeys: sourceOf(keys)}}
		if s.Claims, err = strictjson.Parse([]byte(statement)); err != nil || s.read(noon) != nil {
			return
		}
		checked, err := CheckMetadata(t.Context(), MetadataInput{Request: &Request{Claims: claims, Statement: s}, Supported: acceptable})
		if err != nil {
			var refused *refusal.Error
			if !errors.As(err, &refused) || refused.Rule == "" || refused.Status() != 400 || !strings.HasPrefix(refused.Description, refused.Rule+": ") {
				t.Fatalf("refused with %#v", err)
			}
			return
		}
		m := checked.Metadata
		scopes := []string{"openid"}
		for _, role := range s.Roles {
			scopes = append(scopes, acceptable.Roles[role]...)
		}
		for _, c := range []struct{ got, among []string }{
			{[]string{m.TokenEndpointAuthMethod}, acceptable.AuthMethods},
			{[]string{m.TokenEndpointSigningAlg}, slices.Concat(acceptable.AuthSigningAlgs, []string{""})},
			{m.GrantTypes, acceptable.GrantTypes}, {m.ResponseTypes, acceptable.ResponseTypes},
			{[]string{m.ApplicationType}, []string{"web", "mobile", "native"}},
			{[]string{m.IDTokenSigningAlg}, acceptable.IDTokenAlgs}, {[]string{m.RequestObjectSigningAlg}, acceptable.RequestObjectAlgs},
			{strings.Split(m.Scope, " "), scopes}, {m.RedirectURIs, s.RedirectURIs},
		} {
			if len(c.got) == 0 {
				t.Fatalf("a list is empty: %+v", m)
			}
			for _, v := range c.got {
				if !slices.Contains(c.among, v) {
					t.Fatalf("%q is registered, and not among %q", v, c.among)
				}
			}
		}
		for _, uri := range m.RedirectURIs {
			if !strings.HasPrefix(strings.ToLower(uri), "https://") || strings.ContainsAny(uri, "#*\\ ") {
				t.Fatalf("redirect URI %q", uri)
			}
		}
		if (m.TLSClientAuthSubjectDN != "") != (m.TokenEndpointAuthMethod == "tls_client_auth") {
			t.Fatalf("%s with DN %q", m.TokenEndpointAuthMethod, m.TLSClientAuthSubjectDN)
		}
	})
}

// A set that is accepted holds public keys only, of the kinds that verify, and
// each is for the algorithms of its kind alone.
func FuzzParseJWKS(f *testing.F) {
	rsa, ec := jwkOf(softwareKey().Public(), "kid", "a", "use", "sig", "alg", "PS256"), jwkOf(ecKey().Public(), "kid", "b")
	for _, seed := range []string{
		jwkSet(rsa, ec), jwkSet(), jwkSet(`{"kty":"oct","k":"AAAA"}`), jwkSet(rsa, `{"kty":"future"}`), jwkSet(strings.Replace(ec, `"P-256"`, `"P-384"`, 1)),
		jwkSet(strings.Replace(rsa, `"AQAB"`, `"Ag"`, 1)), jwkSet(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`),
		jwkSet(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`), `{"keys":{}}`, `{"keys":[null]}`, `[]`, jwkSet(strings.Replace(ec, `{`, `{"d":"AA",`, 1)),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseJWKS(data)
		if err != nil {
			return
		}
		if len(keys) == 0 || len(keys) > MaxKeys {
			t.Fatalf("%d keys", len(keys))
		}
		for _, k := range keys {
			for _, alg := range slices.Concat(SupportedAlgorithms, []string{"none", "HS256", "", "ES256K", "PS"}) {
				if k.fits(alg) != nil {
					continue
				}
				family := map[string]string{"PS": "RSA", "RS": "RSA", "ES": "EC", "Ed": "OKP"}
				if !slices.Contains(SupportedAlgorithms, alg) || family[alg[:2]] != k.Type || k.Algorithm != "" && k.Algorithm != alg || k.Use != "" && k.Use != "sig" {
					t.Fatalf("%+v fits %q", k, alg)
				}
				if k.Type == "RSA" && (k.Bits < MinRSABits || k.Bits > MaxRSABits) {
					t.Fatalf("%d bits", k.Bits)
				}
				if verifySignature([]byte("signed"), []byte("signature"), alg, k.public) == nil {
					t.Fatalf("%+v verifies anything", k)
				}
			}
		}
	})
}

// A set of revoked keys revokes every key that the same set would give, and gives none.
func FuzzParseRevokedJWKS(f *testing.F) {
	rsa, ec := jwkOf(softwareKey().Public(), "kid", "a", "use", "sig"), jwkOf(ecKey().Public(), "kid", "b")
	for _, seed := range []string{
		jwkSet(), jwkSet(rsa, ec), jwkSet(`{"kid":"c"}`), jwkSet(`{"kty":"AKP"}`), jwkSet(`{"kid":1,` + ec[1:]), jwkSet(`{"x5c":1,` + rsa[1:]), jwkSet(strings.Replace(rsa, `"AQAB"`, `"Ag"`, 1)),
		jwkSet(jwkOf(edKey().Public())), `{"keys":null}`, `{"keys":[[]]}`, jwkSet(`{"kty":"oct","kid":"d","k":"AAAA"}`),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		revoked, err := ParseRevokedJWKS(data)
		if err != nil {
			return
		}
		if revoked == nil || len(revoked) > MaxRevokedKeys {
			t.Fatalf("%d keys", len(revoked))
		}
		for _, r := range revoked {
			if r.ID == "" && r.public == nil {
				t.Fatalf("%+v revokes nothing", r)
			}
			for _, alg := range SupportedAlgorithms {
				if r.fits(alg) == nil {
					t.Fatalf("%+v fits %s", r, alg)
				}
			}
		}
		keys, err := ParseJWKS(data)
		if err != nil {
			return
		}
		for _, k := range keys {
			if err := k.CheckRevoked(t.Context(), FixedKeys(revoked)); !errors.Is(err, errRevokedKey) {
				t.Fatalf("%+v is not revoked by its own set: %v", k, err)
			}
		}
	})
}

// A certificate that is accepted is in its time, and has the name of its DER.
func FuzzReadCertificate(f *testing.F) {
	subject := dntest.Subject(f, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-FCA-123456")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x")))
	f.Add(issue(f, subject, ecKey()).Raw)
	f.Add(issue(f, dntest.Subject(f), ecKey(), func(c *x509.Certificate) { c.DNSNames = []string{"tpp.example"} }).Raw)
	f.Add(issue(f, subject, ecKey(), func(c *x509.Certificate) { c.NotAfter = noon.AddDate(-1, 0, 0); c.NotBefore = noon.AddDate(-2, 0, 0) }).Raw)
	f.Add(issue(f, subject, ecKey(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }).Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		c, err := ReadCertificate(leaf, noon)
		if err != nil {
			var refused *refusal.Error
			if !errors.As(err, &refused) || refused.Kind != refusal.NoCertificate {
				t.Fatalf("refused with %#v", err)
			}
			return
		}
		if noon.Before(leaf.NotBefore) || noon.After(leaf.NotAfter) {
			t.Fatalf("accepted from %v to %v", leaf.NotBefore, leaf.NotAfter)
		}
		name, err := dn.ParseSubject(leaf.RawSubject)
		if err != nil || len(name) > 0 && !name.Equal(c.Subject) || len(name) != len(c.Subject) {
			t.Fatalf("subject %q of %x, %v", c.Subject, leaf.RawSubject, err)
		}
		if len(c.Thumbprint) != 43 {
			t.Fatalf("thumbprint %q", c.Thumbprint)
		}
	})
}
