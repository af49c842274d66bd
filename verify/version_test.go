package verify

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestVersions(t *testing.T) {
	base := []string{"authorization_code", "client_credentials", "refresh_token"}
	for _, tc := range []struct {
		version Version
		grants  []string
		media   string
		ciba    bool
	}{
		{"3.1", base, "application/jwt", false},
		{"3.2", base, "application/jose", false},
		{"3.3", append(slices.Clone(base), GrantCIBA), "application/jose", true},
		{"3.4", append(slices.Clone(base), GrantCIBA, GrantJWTBearer), "application/jose", true},
	} {
		a := tc.version.SupportedMetadata()
		if !reflect.DeepEqual(a.GrantTypes, tc.grants) || len(a.BackchannelModes) > 0 != tc.ciba || len(a.BackchannelAlgs) > 0 != tc.ciba {
			t.Errorf("%s: %+v, want the grants %q, CIBA %t", tc.version, a, tc.grants, tc.ciba)
		}
		if m := tc.version.MediaTypes(); m[0] != tc.media || len(m) != 2 {
			t.Errorf("%s: %v, want two, %s first", tc.version, m, tc.media)
		}
	}
	if !slices.Contains(Versions, DefaultVersion) || !reflect.DeepEqual(DefaultVersion.SupportedMetadata(), DefaultSupportedMetadata()) {
		t.Error("the default version is not the default")
	}
}

// What a version does not know is refused as a grant and ignored as a claim.
func TestVersionMetadata(t *testing.T) {
	ciba := []any{
		"grant_types", []string{"client_credentials", GrantCIBA}, "backchannel_token_delivery_mode", "ping",
		"backchannel_client_notification_endpoint", "https://tpp.example/ciba", "backchannel_authentication_request_signing_alg", "ES256",
		"backchannel_user_code_parameter_supported", false,
	}
	bearer := []any{"grant_types", []string{GrantJWTBearer}}
	for _, tc := range []struct {
		name    string
		version Version
		changes []any
		word    string // empty: accepted
	}{
		{"CIBA in 3.1", "3.1", ciba, "grant_types: 'urn:openid:params:grant-type:ciba'"},
		{"CIBA in 3.2", "3.2", ciba, "grant_types: 'urn:openid:params:grant-type:ciba'"},
		{"CIBA in 3.3", "3.3", ciba, ""},
		{"CIBA in 3.4", "3.4", ciba, ""},
		{"jwt-bearer in 3.3", "3.3", bearer, "grant_types: 'urn:ietf:params:oauth:grant-type:jwt-bearer'"},
		{"jwt-bearer in 3.4", "3.4", bearer, ""},
		{"CIBA's claims in 3.2 are unknown ones", "3.2", append(slices.Clone(ciba), "grant_types", []string{"client_credentials"}, "backchannel_token_delivery_mode", 1), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(requestClaims, tc.changes...), ssaClaims)
			in.Supported = tc.version.SupportedMetadata()
			got, err := CheckMetadata(context.Background(), in)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m, grants := got.Metadata, slices.Contains(got.Metadata.GrantTypes, GrantCIBA)
			if grants != (m.BackchannelMode == "ping" && m.BackchannelEndpoint == "https://tpp.example/ciba" && m.BackchannelAlg == "ES256" && m.BackchannelUserCode != nil && !*m.BackchannelUserCode) {
				t.Errorf("got %+v", m)
			}
			if !grants && (m.BackchannelMode != "" || m.BackchannelUserCode != nil) {
				t.Errorf("unknown claims are kept: %+v", m)
			}
		})
	}
}

// What the directory wrote of CIBA binds like all other metadata of a statement.
func TestStatementBindsBackchannel(t *testing.T) {
	ciba := with(requestClaims, "grant_types", []string{"client_credentials", GrantCIBA}, "backchannel_token_delivery_mode", "ping",
		"backchannel_client_notification_endpoint", "https://tpp.example/ciba", "backchannel_authentication_request_signing_alg", "ES256")
	for _, tc := range []struct{ claim, same, other string }{
		{"backchannel_token_delivery_mode", "ping", "poll"},
		{"backchannel_client_notification_endpoint", "https://tpp.example/ciba", "https://tpp.example/other"},
		{"backchannel_authentication_request_signing_alg", "ES256", "PS256"},
	} {
		for value, word := range map[string]string{tc.same: "", tc.other: "software_statement: its " + tc.claim + " binds and does not hold"} {
			in := metadataInput(t, ciba, with(ssaClaims, tc.claim, value))
			in.Supported = Version("3.3").SupportedMetadata()
			_, err := CheckMetadata(context.Background(), in)
			if word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, word)
			} else if err != nil {
				t.Errorf("%s %s: %v", tc.claim, value, err)
			}
		}
	}
}

// CIBA's claims are there exactly when the grant is.
func TestBackchannel(t *testing.T) {
	const mode, endpoint, alg, code = "backchannel_token_delivery_mode", "backchannel_client_notification_endpoint",
		"backchannel_authentication_request_signing_alg", "backchannel_user_code_parameter_supported"
	ciba := []any{"grant_types", []string{"client_credentials", GrantCIBA}, mode, "poll", alg, "PS256"}
	ping := append(slices.Clone(ciba), mode, "ping")
	for _, tc := range []struct {
		name    string
		base    []any
		changes []any
		word    string // empty: accepted
	}{
		{"poll", ciba, nil, ""},
		{"poll with endpoint", ciba, []any{endpoint, "https://tpp.example/ciba"}, endpoint + ": nothing is sent to it"},
		{"ping", ping, []any{endpoint, "https://tpp.example/ciba"}, ""},
		{"ping without endpoint", ping, nil, endpoint + ": missing"},
		{"ping to http", ping, []any{endpoint, "http://tpp.example/ciba"}, endpoint + ": 'http://tpp.example/ciba' does not use https"},
		{"ping to localhost", ping, []any{endpoint, "https://localhost/ciba"}, "points to localhost"},
		{"ping to an address", ping, []any{endpoint, "https://169.254.169.254/latest"}, "has an IP address"},
		{"ping to one label", ping, []any{endpoint, "https://vault/ciba"}, "has a host that only an inner network knows"},
		{"ping to one label and a dot", ping, []any{endpoint, "https://vault./ciba"}, "has a host that only an inner network knows"},
		{"ping to cloud metadata", ping, []any{endpoint, "https://metadata.google.Internal:443/x"}, "has a host that only an inner network knows"},
		{"ping to a service", ping, []any{endpoint, "https://api.default.svc/%41"}, "has a host that only an inner network knows"},
		{"ping to a port", ping, []any{endpoint, "https://tpp.example:8443/ciba?a=b"}, ""},
		{"ping to a list", ping, []any{endpoint, []string{"https://tpp.example"}}, endpoint + ": is an array"},
		{"push", ciba, []any{mode, "push"}, mode + ": 'push' is not accepted; send one of poll, ping"},
		{"no mode", ciba, []any{mode, absent{}}, mode + ": missing"},
		{"no alg", ciba, []any{alg, absent{}}, alg + ": missing"},
		{"alg RS256", ciba, []any{alg, "RS256"}, alg + ": 'RS256'"},
		{"alg none", ciba, []any{alg, "none"}, alg + ": 'none'"},
		{"user code true", ciba, []any{code, true}, code + ": true is not accepted"},
		{"user code false", ciba, []any{code, false}, ""},
		{"user code text", ciba, []any{code, "false"}, code + ": is a string"},
		{"mode without the grant", nil, []any{mode, "poll"}, mode + ": only goes with the grant type"},
		{"endpoint without the grant", nil, []any{endpoint, "https://tpp.example/ciba"}, endpoint + ": only goes with"},
		{"alg without the grant", nil, []any{alg, "PS256"}, alg + ": only goes with"},
		{"user code without the grant", nil, []any{code, false}, code + ": only goes with"},
		{"null without the grant", nil, []any{mode, nil}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(with(requestClaims, tc.base...), tc.changes...), ssaClaims)
			in.Supported = Version("3.3").SupportedMetadata()
			_, err := CheckMetadata(context.Background(), in)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestResponseTypesFollowGrants: in every version a client without authorization_code has
// none, in a PUT too (RFC 7591 2.1).
func TestResponseTypesFollowGrants(t *testing.T) {
	for _, version := range Versions {
		for _, registered := range []*Registered{nil, {ClientID: "c", SoftwareID: "65d1f27c4aeA4549", OrgID: "0015800000jfQ9aAAE"}} {
			for _, tc := range []struct {
				name    string
				changes []any
				want    string // "" of a refusal
			}{
				{"no response type", []any{"grant_types", []string{"client_credentials"}}, "[]"},
				{"an empty list", []any{"grant_types", []string{"client_credentials", "refresh_token"}, "response_types", []string{}}, "[]"},
				{"contradiction", []any{"grant_types", []string{"client_credentials"}, "response_types", []string{"code"}}, ""},
				{"the other contradiction", []any{"grant_types", []string{"authorization_code"}, "response_types", []string{}}, ""},
				{"the default", []any{"grant_types", []string{"authorization_code"}}, "[code id_token]"},
				{"as asked", []any{"response_types", []string{"code"}}, "[code]"},
			} {
				in := metadataInput(t, with(requestClaims, tc.changes...), ssaClaims)
				in.Supported, in.Registered = version.SupportedMetadata(), registered
				got, err := CheckMetadata(context.Background(), in)
				if tc.want == "" {
					wantRefusal(t, err, refusal.InvalidClientMetadata, "response_types", "grant_types", "authorization_code")
					continue
				}
				if err != nil || got.Metadata.ResponseTypes == nil || fmt.Sprint(got.Metadata.ResponseTypes) != tc.want {
					t.Errorf("%s, %s: %+v, %v; want %s", version, tc.name, got, err, tc.want)
				}
			}
		}
	}
}

// TestVersion34 holds requests and answers against what the file of DCR 3.4 has other
// than that of 3.3.
func TestVersion34(t *testing.T) {
	der := dntest.Subject(t, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.10", "Bank, Ltd")), dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp")))
	cert, err := ReadCertificate(issue(t, der, ecKey()), noon)
	if err != nil {
		t.Fatal(err)
	}
	const claim = "tls_client_auth_subject_dn"
	for _, tc := range []struct {
		name    string
		changes []any
		ssa     []any
		word    string // empty: accepted
	}{
		{"native", []any{"application_type", "native"}, nil, ""},
		{"mobile", []any{"application_type", "mobile"}, nil, "application_type: 'mobile' is not accepted; send one of web, native"},
		{"native, which the directory calls mobile", []any{"application_type", "native"}, []any{"application_type", "mobile"}, ""},
		{"web, where the directory says mobile", nil, []any{"application_type", "mobile"}, "its application_type binds and does not hold 'web'"},
		{"the pattern's DN", []any{claim, `cn=tpp,O=Bank\2C Ltd,C=GB`}, nil, ""},
		{"a comma as RFC 4514 has it", []any{claim, `CN=tpp,O=Bank\, Ltd,C=GB`}, nil, ""},
		{"any order after the CN", []any{claim, `CN=tpp,C=GB,O=Bank\, Ltd`}, nil, ""},
		{"CN last", []any{claim, `C=GB,O=Bank\, Ltd,CN=tpp`}, nil, "is not in the form of DCR 3.4 (CN first, no blank after a comma, at most 512 characters); send 'CN=tpp,O=#0c0942616e6b2c204c7464,C=GB', or leave the claim out"},
		{"a blank after a comma", []any{claim, `CN=tpp, O=Bank\, Ltd,C=GB`}, nil, "is not in the form of DCR 3.4"},
		{"a backslash before a comma", []any{claim, `CN=tpp\\, O=x`}, nil, "is not in the form of DCR 3.4"},
		{"slashes", []any{claim, `/C=GB/O=Bank, Ltd/CN=tpp`}, nil, "is not in the form of DCR 3.4"},
		{"longer", []any{claim, "CN=tpp,O=" + strings.Repeat("x", 504)}, nil, "is not in the form of DCR 3.4"},
		{"as long as it may be", []any{claim, "CN=tpp,O=" + strings.Repeat("x", 503)}, nil, "is not the subject of the presented certificate"},
		{"as long as it may be, of two bytes each", []any{claim, "CN=tpp,O=" + strings.Repeat("ä", 503)}, nil, "is not the subject of the presented certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(with(requestClaims, "token_endpoint_auth_method", "tls_client_auth"), tc.changes...), with(ssaClaims, tc.ssa...))
			in.Supported, in.Certificate = Version("3.4").SupportedMetadata(), cert
			_, err := CheckMetadata(context.Background(), in)
			switch {
			case tc.word != "":
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
			case err != nil:
				t.Fatal(err)
			}
			in.Supported.Lenient = Leniency{claim}
			if _, err := CheckMetadata(context.Background(), in); strings.Contains(tc.word, "in the form") && err != nil && strings.Contains(err.Error(), "in the form") {
				t.Errorf("lenient: %v", err)
			}
			in.Supported = Version("3.3").SupportedMetadata()
			if _, err := CheckMetadata(context.Background(), in); err != nil && (strings.Contains(err.Error(), "in the form") || tc.name == "mobile") {
				t.Errorf("3.3: %v, want no refusal of the form, and none of a mobile client", err)
			}
		})
	}
}

func TestShown(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"as sent", "cn=TPP,o=x", "cn=TPP,o=x"},
		{"escaped comma", `CN=tpp,O=Bank\, Ltd`, `CN=tpp,O=Bank\2C Ltd`},
		{"reversed", "C=GB,O=x,CN=tpp", "CN=tpp,O=x,C=GB"},
		{"the CN in the middle", "C=GB,CN=tpp+OU=a,O=", "CN=tpp+OU=a,O=#0c00,C=GB"},
		{"the CN behind in its RDN", "OU=a+CN=tpp,C=GB", "CN=tpp+OU=a,C=GB"},
		{"blanks", "CN=tpp , O=x", "CN=tpp,O=x"},
		{"slashes", "/C=GB/CN=tpp", "CN=tpp,C=GB"},
		{"no CN", "O=x, C=GB", "C=GB,O=x"},
	} {
		name := nameOf(t, tc.text)
		m := Metadata{ApplicationType: "mobile", TLSClientAuthSubjectDN: tc.text}
		got := Version("3.4").Shown(m, func() (dn.Name, error) { return name, nil })
		if got.TLSClientAuthSubjectDN != tc.want || got.ApplicationType != "native" {
			t.Errorf("%s: %s %s, want %s", tc.name, got.ApplicationType, got.TLSClientAuthSubjectDN, tc.want)
		}
		if read := nameOf(t, got.TLSClientAuthSubjectDN); !read.SameAttributes(name) {
			t.Errorf("%s: %s is another name", tc.name, got.TLSClientAuthSubjectDN)
		}
		if got := Version("3.3").Shown(m, nil); !reflect.DeepEqual(got, m) {
			t.Errorf("%s: 3.3 shows %+v", tc.name, got)
		}
	}
}
