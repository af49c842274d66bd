package gateway

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// FuzzHeaders: whatever headers a stranger sends, none passes that a server which minds
// neither case nor punctuation reads as a certificate or as the gateway's own, and
// nothing that the gateway sets afterwards is taken away by the proxy.
func FuzzHeaders(f *testing.F) {
	for _, name := range []string{"Client-Cert", "client_cert", "Client.Cert", "X-Hop", "x.hop", "Connection", "Upgrade", "Forwarded", "X-SSL-Client-Cert", "Te", "Trailer", strings.Repeat("a-", 60) + "client-cert"} {
		f.Add(name, "close, Client-Cert", "Keep-Alive", "upgrade,X-Hop")
		f.Add("Connection", "client-cert\t,X-Hop ,close", name, "websocket")
	}
	own := new(HeaderFilter)
	own.Add("X-Hop", "Client-Cert")
	listed := new(HeaderFilter)
	listed.Add("X-Hop", "Client-Cert")
	listed.Pass("Cookie")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		for _, o := range []*HeaderFilter{own, listed} {
			header := http.Header{}
			for name, value := range map[string]string{name1: value1, name2: value2} {
				header[textproto.CanonicalMIMEHeaderKey(name)] = []string{value, value}
			}
			r, _ := o.scrub(new(fakeHost), requestWith(header))
			for name := range r.Header {
				if len(name) > MaxHeaderName && o == own {
					continue // nobody reads such a name
				}
				folded := foldedHeader(name)
				if folded == "x-hop" || strings.Contains(folded, "client-cert") || folded == "forwarded" || strings.HasPrefix(folded, "x-ssl-") {
					t.Errorf("%q passes", name)
				}
				if o == listed && folded != "cookie" && !slices.ContainsFunc(alwaysPass, func(p string) bool { return strings.ToLower(p) == folded }) {
					t.Errorf("%q passes, and is not listed", name)
				}
			}
			r.Header["X-Hop"], r.Header["Client-Cert"] = []string{"own"}, []string{"own"}
			asProxy(r.Header)
			if r.Header.Get("X-Hop") != "own" || r.Header.Get("Client-Cert") != "own" {
				t.Errorf("%q: %q takes a header of the gateway away", name1, value1)
			}
		}
	})
}

// asProxy removes what Connection names, as Caddy's reverse_proxy does (RFC 9110 7.6.1).
func asProxy(header http.Header) {
	for _, field := range header["Connection"] {
		for token := range strings.SplitSeq(field, ",") {
			if token = textproto.TrimString(token); token != "" {
				header.Del(token)
			}
		}
	}
}
