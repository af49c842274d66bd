package verify

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzReadAuthorizationRequest: what passes for a client of the registry names that client
// alone, in the one parameter that a server that reads the first of several, or the last,
// or in any case, would take.
func FuzzReadAuthorizationRequest(f *testing.F) {
	for _, seed := range [][2]string{
		{"client_id=c&request_uri=urn:x", ""}, {"Client_ID=c", "client_id=c"}, {"client_id=c&request=a..b.c.d", ""}, {"client%5Fid=%63", "x=y;z"}, {"request=e30.eyJpc3MiOiJjIn0.", "client_id[]=c"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, query, form string) {
		a, err := ReadAuthorizationRequest(query, form)
		if err != nil || a.CheckRegistered() != nil || len(a.ClientIDs) == 0 {
			return
		}
		if len(a.ClientIDs) != 1 {
			t.Fatalf("%v passes", a.ClientIDs)
		}
		named := 0
		for _, text := range []string{query, form} {
			values, err := url.ParseQuery(text)
			if err != nil {
				t.Fatalf("%q passes", text)
			}
			for name, v := range values {
				if !strings.EqualFold(strings.TrimSpace(name), "client_id") {
					continue
				}
				if named += len(v); name != "client_id" || v[0] != a.ClientIDs[0] {
					t.Fatalf("%q: %v is taken for %v", name, v, a.ClientIDs)
				}
			}
		}
		if named != 1 {
			t.Fatalf("client_id passes %d times", named)
		}
	})
}

// FuzzReadPresentedToken: a token that is read is the only one there is, and can be read
// again.
func FuzzReadPresentedToken(f *testing.F) {
	for _, seed := range [][3]string{{"Bearer abc", "", ""}, {"DPoP a.b.c", "a=b", ""}, {"", "access_token=x", ""}, {"Basic abc", "", "access%5ftoken=x"}, {"Bearer a, Bearer b", "", ""}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, header, query, form string) {
		var authorization []string
		if header != "" {
			authorization = []string{header}
		}
		p, err := ReadPresentedToken(authorization, query, form)
		if err != nil {
			return
		}
		if p.Raw == "" {
			if strings.HasPrefix(strings.ToLower(header), "bearer") {
				t.Fatalf("%q has no token", header)
			}
			return
		}
		again, err := ReadPresentedToken([]string{"Bearer " + p.Raw}, "", "")
		if err != nil || again.Raw != p.Raw {
			t.Fatalf("%q is read again as %q, %v", p.Raw, again.Raw, err)
		}
		_, err = ReadPresentedToken([]string{"DPoP " + p.Raw}, query, strings.TrimPrefix(form+"&access_token="+p.Raw, "&"))
		if err == nil {
			t.Fatalf("a second token beside %q and %q passes", query, form)
		}
	})
}
