package verify

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzPublicURI: what is accepted is, to the standard library, an https URL of a
// public name, whichever way it was read here.
func FuzzPublicURI(f *testing.F) {
	for _, s := range []string{
		"https://tpp.example/cb", "https://tpp.example", "https://TPP.example/a?b=c", "https://tpp.example:8443/cb", "https://tpp.example/%41", "https://%E2%84%AA.example/",
		"https://a@tpp.example/", "https://tpp.example/#x", "https://localhost/", "https://a.localhost/", "https://127.0.0.1/", "https://0x7f.1/",
		"https://[::1]/", "https:///x", "https://./", "https://-/", "https://tpp.example./", "http://tpp.example/", "https://tpp.example?x", "https://tpp.example/a//b/../c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if _, err := publicURI(uri); err != nil {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "https" || u.Opaque != "" || u.User != nil || u.Fragment != "" || strings.Contains(uri, "#") || len(uri) > maxURI {
			t.Fatalf("accepted %q: %+v, %v", uri, u, err)
		}
		host := u.Hostname()
		if strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
			t.Errorf("accepted %q with a host that is not ASCII", uri)
		}
		if plain, ok := plainHost(uri); ok && plain != host {
			t.Errorf("%q has host %q, not %q", uri, host, plain)
		}
		if _, err := netip.ParseAddr(host); err == nil || host == "" || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || strings.Contains(host, "*") {
			t.Errorf("accepted %q with host %q", uri, host)
		}
	})
}
