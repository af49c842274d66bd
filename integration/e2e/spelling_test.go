package e2e_test

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/internal/targettest"
)

// TestSpellingsThatServersTake asks the servers themselves for a client's token at every
// spelling of their token endpoint. Whatever they take, nobody else gets it through the
// gateway.
func TestSpellingsThatServersTake(t *testing.T) {
	each(t, story.Options{Edits: []gateway.Edit{gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(p.Endpoint("token_endpoint"), siteOf(p))
		all := maps.Clone(targettest.Spellings)
		all["as it is"] = func(p string) string { return p }
		for first, one := range targettest.Spellings { // and every two of them together
			for second, other := range targettest.Spellings {
				all[first+", "+second] = func(p string) string { return other(one(p)) }
			}
		}
		for name, spell := range maps.Clone(all) { // of what the AS itself calls its path
			all[name+", below the prefix"] = func(p string) string {
				return story.Prefix + spell(strings.TrimPrefix(p, story.Prefix))
			}
		}
		direct, form := tpp.NewClient(p.ClientOptions()), []byte("grant_type=client_credentials&scope=&client_id="+id)
		defer direct.Close()
		asForm := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		own := http.Header{"Content-Type": asForm["Content-Type"], "Client-Cert": {clientCert(p.Acme)}}
		taken := 0
		for name, spell := range all {
			address := strings.TrimSuffix(p.AS.URL(), story.Prefix) + spell(path)
			if _, err := url.Parse(address); err != nil {
				continue // no client sends it
			}
			r, err := direct.Do(t.Context(), http.MethodPost, address, own, form)
			if err != nil || r.Text("access_token") == "" {
				continue
			}
			taken++
			r, err = p.Client(p.Other).Do(t.Context(), http.MethodPost, siteOf(p)+spell(path), asForm, form)
			if err != nil || r.Status < 400 || r.Text("access_token") != "" {
				t.Errorf("%s: the server takes %s, and so does the gateway: %v, %v", name, spell(path), r, err)
			}
		}
		t.Logf("of %d spellings the server takes %d", len(all), taken)
		if taken == 0 {
			t.Error("the server does not even take the endpoint as it is")
		}
	})
}

// TestOtherRequestsPassUnchanged: what is not the gateway's arrives as it was sent, and so does the answer;
// another spelling of what is arrives nowhere. All spellings and methods are in the tables of
// gateway.
func TestOtherRequestsPassUnchanged(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	if err := p.AS.ResetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{strings.TrimPrefix(p.Register, siteOf(p)), strings.TrimPrefix(p.Endpoint("token_endpoint"), siteOf(p))} {
		for _, name := range []string{"upper case", "escaped letter", "two slashes", "double dot segment"} {
			address := siteOf(p) + targettest.Spellings[name](path)
			r, err := p.Client(p.Acme).Do(t.Context(), http.MethodPost, address, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte("a=b"))
			if err := notFound.isIn(p, r, err); err != nil {
				t.Errorf("%s (%s): %v", address, name, err)
			}
		}
	}
	const answer, body = `{"b": 1.0,  "a":"\u0041"}`, "\x00\xff body"
	if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: "/elsewhere", Times: -1, Status: 299, Body: answer, Header: map[string]string{"Cache-Control": "private", "X-Own": "1", "Content-Type": "text/x-own"}}); err != nil {
		t.Fatal(err)
	}
	header := http.Header{
		"Authorization": {"Bearer of-somebody"}, "X-Own": {"a", "b"}, "Content-Type": {"application/x-own"}, "Cookie": {"a=b"},
		"X-Fapi-Interaction-Id": {"not-a-uuid"}, "Accept": {"*/*;q=0.1"}, "User-Agent": {"own/1"}, "Digest": {"SHA-256=x"}, "X-Jws-Signature": {"a..b"},
	}
	const path, query = story.Prefix + "/elsewhere/a.b~c", "a=%2F&b=c;d&a=+"
	r, err := p.Client(p.Acme).Do(t.Context(), http.MethodPut, siteOf(p)+path+"?"+query, header, []byte(body))
	if err != nil || r.Status != 299 || string(r.Body) != answer {
		t.Fatalf("%v, %v, want 299 %s", r, err, answer)
	}
	for name, want := range map[string]string{"Cache-Control": "private", "X-Own": "1", "Content-Type": "text/x-own", "Pragma": "", "X-Fapi-Interaction-Id": ""} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("answered with %s %q, want %q", name, got, want)
		}
	}
	seen, err := p.AS.Requests(t.Context())
	if err != nil || len(seen) != 1 { // none of the other spellings either
		t.Fatalf("the authorization server saw %d requests, %v, want 1", len(seen), err)
	}
	got := seen[0]
	if got.Method != http.MethodPut || got.Path != path || got.Query != query || got.BodyLength != len(body) || got.Body != strings.ToValidUTF8(body, "\ufffd") || got.Header.Get("Client-Cert") != "" {
		t.Errorf("the authorization server saw %+v", got)
	}
	for name, want := range header {
		if !reflect.DeepEqual(got.Header[name], want) {
			t.Errorf("the authorization server saw %s: %q, want %q", name, got.Header[name], want)
		}
	}
}
