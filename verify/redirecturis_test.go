package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Each URI is in the software statement too, so that only its own form can be
// what is wrong with it.
func TestRedirectURIs(t *testing.T) {
	const bad = "has a character that a URI cannot have, or a wildcard"
	const ip, local, relative = "has an IP address for a host", "points to localhost", "is not an absolute URI"
	at := func(n int) string { return "https://tpp.example/" + strings.Repeat("x", n-len("https://tpp.example/")) }
	for _, tc := range []struct{ name, uri, want string }{
		{"plain", "https://tpp.example/cb", ""},
		{"port", "https://tpp.example:8443/cb", ""},
		{"query", "https://tpp.example/cb?a=b&c=%20d", ""},
		{"no path", "https://tpp.example", ""},
		{"scheme and host in capitals", "HTTPS://TPP.example/cb", ""},
		{"punycode", "https://xn--tpp-hoa.example/cb", ""},
		{"digits in host", "https://1.2.3.4.example/cb", ""},
		{"label of digits and letters", "https://tpp.4you/cb", ""},
		{"localhost as a part of a name", "https://localhost.example/cb", ""},
		{"localhost as the end of a name", "https://mylocalhost/cb", ""},
		{"256 characters", at(256), ""},
		{"257 characters", at(257), "is longer than 256 characters"},
		{"http", "http://tpp.example/cb", "does not use https"},
		{"custom scheme", "com.example.app://cb/x", "does not use https"},
		{"private-use scheme", "com.example.app:/cb", relative},
		{"javascript", "javascript:alert(1)", relative},
		{"relative", "/cb", relative},
		{"scheme-relative", "//tpp.example/cb", "does not use https"},
		{"no host", "https:///cb", relative},
		{"port only", "https://:443/cb", relative},
		{"opaque", "https:tpp.example/cb", relative},
		{"empty", "", relative},
		{"fragment", "https://tpp.example/cb#x", "has a fragment"},
		{"empty fragment", "https://tpp.example/cb#", "has a fragment"},
		{"user", "https://bank@tpp.example/cb", "has user information"},
		{"user and password", "https://a:b@tpp.example/cb", "has user information"},
		{"empty user", "https://@tpp.example/cb", "has user information"},
		{"wildcard host", "https://*.tpp.example/cb", bad},
		{"wildcard path", "https://tpp.example/*", bad},
		{"backslash", `https://tpp.example\@evil.example/`, bad},
		{"blank", "https://tpp.example/a b", bad},
		{"line end", "https://tpp.example/cb\r\n", bad},
		{"NUL", "https://tpp.example/cb\x00", bad},
		{"not ASCII", "https://tpp.éxample/cb", bad},
		{"quote", `https://tpp.example/"`, bad},
		{"half an escape", "https://tpp.example/%4", relative},
		{"escaped letter in host", "https://%6cocalhost/cb", relative},
		{"escaped wide letter in host", "https://%EF%BD%8Cocalhost/cb", relative},
		{"escaped Kelvin sign in host", "https://%E2%84%AA.example/cb", relative},
		{"escaped wide digit in host", "https://127.0.0.%EF%BC%91/cb", relative},
		{"port of letters", "https://tpp.example:x/cb", relative},

		{"localhost", "https://localhost/cb", local},
		{"localhost with port", "https://localhost:8443/cb", local},
		{"localhost in capitals", "https://LocalHost/cb", local},
		{"localhost with dot", "https://localhost./cb", local},
		{"name below localhost", "https://tpp.localhost/cb", local},
		{"loopback", "https://127.0.0.1/cb", ip},
		{"loopback with port", "https://127.0.0.1:8443/cb", ip},
		{"loopback elsewhere", "https://127.8.8.8/cb", ip},
		{"public IPv4", "https://93.184.216.34/cb", ip},
		{"IPv4 with dot", "https://127.0.0.1./cb", ip},
		{"IPv4 short", "https://127.1/cb", ip},
		{"IPv4 as a number", "https://2130706433/cb", ip},
		{"IPv4 hexadecimal", "https://0x7f000001/cb", ip},
		{"IPv4 partly hexadecimal", "https://127.0.0.0X1/cb", ip},
		{"IPv4 octal", "https://0177.0.0.01/cb", ip},
		{"IPv6", "https://[::1]/cb", ip},
		{"IPv6 with port", "https://[2001:db8::1]:8443/cb", ip},
		{"IPv4 in IPv6", "https://[::ffff:127.0.0.1]/cb", ip},
		{"IPv6 with zone", "https://[fe80::1%25eth0]/cb", ip},
		{"dots", "https://./cb", ip},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ssa := with(ssaClaims, "software_redirect_uris", []string{"https://tpp.example/other", tc.uri})
			got, err := CheckMetadata(context.Background(), metadataInput(t, with(requestClaims, "redirect_uris", []string{tc.uri}), ssa))
			// A statement may hold it, and the request leave the claim out.
			_, left := CheckMetadata(context.Background(), metadataInput(t, requestClaims, ssa))
			if tc.want != "" {
				wantRefusal(t, err, refusal.InvalidRedirectURI, "redirect_uris: ", tc.want)
				wantRefusal(t, left, refusal.InvalidRedirectURI, "redirect_uris: ", tc.want)
				return
			}
			if err != nil || left != nil || len(got.Metadata.RedirectURIs) != 1 || got.Metadata.RedirectURIs[0] != tc.uri {
				t.Errorf("got %+v, %v, %v", got, err, left)
			}
		})
	}
}

func TestRedirectURIsOfStatement(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request any
		ssa     any
		word    string
	}{
		{"not in it", []string{"https://tpp.example/cb3"}, ssaClaims["software_redirect_uris"], "'https://tpp.example/cb3' is not in the software statement's"},
		{"second not in it", []string{"https://tpp.example/cb", "https://evil.example/"}, ssaClaims["software_redirect_uris"], "'https://evil.example/' is not in"},
		{"slash more", []string{"https://tpp.example/cb/"}, ssaClaims["software_redirect_uris"], "must hold it exactly"},
		{"query more", []string{"https://tpp.example/cb?x"}, ssaClaims["software_redirect_uris"], "must hold it exactly"},
		{"other case of host", []string{"https://TPP.example/cb"}, ssaClaims["software_redirect_uris"], "must hold it exactly"},
		{"default port", []string{"https://tpp.example:443/cb"}, ssaClaims["software_redirect_uris"], "must hold it exactly"},
		{"prefix of one", []string{"https://tpp.example/c"}, ssaClaims["software_redirect_uris"], "must hold it exactly"},
		{"empty list", []string{}, ssaClaims["software_redirect_uris"], "redirect_uris: empty"},
		{"a string", "https://tpp.example/cb", ssaClaims["software_redirect_uris"], "redirect_uris: is a string"},
		{"null in it", []any{nil}, ssaClaims["software_redirect_uris"], "redirect_uris: holds null"},
		{"statement without", []string{"https://tpp.example/cb"}, absent{}, "has no software_redirect_uris"},
		{"statement with an empty list", absent{}, []string{}, "has no software_redirect_uris"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := CheckMetadata(context.Background(), metadataInput(t, with(requestClaims, "redirect_uris", tc.request), with(ssaClaims, "software_redirect_uris", tc.ssa)))
			wantRefusal(t, err, refusal.InvalidRedirectURI, tc.word)
			if e := refusal.From(err); e.Rule != "redirect_uris" {
				t.Errorf("rule %q", e.Rule)
			}
		})
	}
}
