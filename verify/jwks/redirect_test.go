package jwks_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Every status that means a redirect is held to the origin, whatever it does to
// the method, and nothing else sends anybody anywhere.
func TestRedirectStatuses(t *testing.T) {
	other := newDirectory(t, text(set("evil"), ""))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for code, want := range map[int]string{
			301: "another origin", 302: "another origin", 303: "another origin", 307: "another origin", 308: "another origin",
			200: "", 201: "", 300: "", 304: "", 305: "", 306: "", 401: "", 503: "",
		} {
			d := newDirectory(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", other.URL)
				w.Header().Set("Refresh", "0; url="+other.URL)
				w.Header().Set("Alt-Svc", `h2="`+strings.TrimPrefix(other.URL, "https://")+`"`)
				w.WriteHeader(code)
			})
			r, err := http.NewRequest(method, d.URL, strings.NewReader("secret"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Basic c2VjcmV0")
			res, err := client(t, jwks.Options{PrivateRanges: true}, d, other).Do(r)
			switch {
			case want == "" && (err != nil || res.Status != code):
				t.Errorf("%s %d: %+v, %v; want %d", method, code, res, err, code)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%s %d: %+v, %v; want %q", method, code, res, err, want)
			}
			if n := d.asked.Load(); n != 1 {
				t.Errorf("%s %d: %d requests", method, code, n)
			}
		}
	}
	if n := other.asked.Load(); n != 0 {
		t.Errorf("the other origin was asked %d times", n)
	}
}

// The way back is no way round: each step is held against the first.
func TestRedirectChains(t *testing.T) {
	other := newDirectory(t, nil)
	d := newDirectory(t, nil)
	other.set(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, d.URL+"/keys", http.StatusFound) })
	for _, tc := range []struct {
		name  string
		hops  map[string]string
		want  string // in the error
		asked int32
	}{
		{"three steps", map[string]string{"/0": "/1", "/1": "/2", "/2": "/keys"}, "", 4},
		{"four steps", map[string]string{"/0": "/1", "/1": "/2", "/2": "/3", "/3": "/keys"}, "too often", 4},
		{"there and back", map[string]string{"/0": "/1", "/1": "/0"}, "too often", 4},
		{"itself", map[string]string{"/0": ""}, "too often", 4},
		{"out in the second step", map[string]string{"/0": "/1", "/1": other.URL}, "another origin", 2},
		{"out and back", map[string]string{"/0": other.URL}, "another origin", 1},
		{"to http of the same address", map[string]string{"/0": strings.Replace(d.URL, "https", "http", 1) + "/keys"}, "another origin", 1},
		{"to another scheme", map[string]string{"/0": "file:///etc/passwd"}, "another origin", 1},
		{"to the address as another text", map[string]string{"/0": strings.Replace(d.URL, "127.0.0.1", "127.0.0.1.", 1) + "/keys"}, "another origin", 1},
		{"to no URL", map[string]string{"/0": "https://%zz/"}, "", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d.asked.Store(0)
			d.set(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/keys" {
					fmt.Fprint(w, "arrived")
					return
				}
				w.Header().Set("Location", d.URL+r.URL.Path)
				if to := tc.hops[r.URL.Path]; to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(http.StatusFound)
			})
			res, err := client(t, jwks.Options{PrivateRanges: true}, d, other).Get(context.Background(), d.URL+"/0")
			if arrives := tc.name == "three steps"; (err == nil) != arrives || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %+v, %v", res, err)
			}
			if n := d.asked.Load(); n != tc.asked {
				t.Errorf("%d requests", n)
			}
		})
	}
	if n := other.asked.Load(); n != 0 {
		t.Errorf("the other origin was asked %d times", n)
	}
}
