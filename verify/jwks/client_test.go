package jwks_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

func TestGet(t *testing.T) {
	d := newDirectory(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Test", r.Header.Get("Accept"))
		fmt.Fprint(w, r.Method, " ", r.URL)
	})
	res, err := client(t, jwks.Options{PrivateRanges: true}, d).Get(context.Background(), d.URL+"/keys?x=1")
	if err != nil || res.Status != 200 || string(res.Body) != "GET /keys?x=1" || res.Header.Get("X-Test") != "application/json" {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestStatus(t *testing.T) {
	for _, code := range []int{201, 204, 304, 400, 404, 500} {
		d := newDirectory(t, status(code))
		c := client(t, jwks.Options{PrivateRanges: true}, d)
		if res, err := c.Get(context.Background(), d.URL); err == nil || !strings.Contains(err.Error(), fmt.Sprint(code)) {
			t.Errorf("Get: %+v, %v", res, err)
		}
		r, err := http.NewRequest(http.MethodPost, d.URL, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if res, err := c.Do(r); err != nil || res.Status != code {
			t.Errorf("Do: %+v, %v", res, err)
		}
	}
}

func TestOnlyHTTPS(t *testing.T) {
	asked := false
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer plain.Close()
	c := client(t, jwks.Options{PrivateRanges: true})
	for _, url := range []string{plain.URL, "file:///etc/passwd", "ftp://example.com/", "//example.com/", ""} {
		if res, err := c.Get(context.Background(), url); err == nil || !strings.Contains(err.Error(), "https") {
			t.Errorf("%q: %+v, %v; want an error about https", url, res, err)
		}
	}
	if asked {
		t.Error("plain http was spoken")
	}
	c = client(t, jwks.Options{PrivateRanges: true, PlainHTTP: true})
	for _, url := range []string{"file:///etc/passwd", "ftp://example.com/", "//example.com/", ""} {
		if res, err := c.Get(context.Background(), url); err == nil {
			t.Errorf("%q: %+v, want an error", url, res)
		}
	}
	if _, err := c.Get(context.Background(), plain.URL); err != nil || !asked {
		t.Errorf("plain http was allowed and not spoken: %v", err)
	}
	if _, err := client(t, jwks.Options{PlainHTTP: true}).Get(context.Background(), plain.URL); !errors.Is(err, jwks.ErrAddress) {
		t.Errorf("plain http to a private address: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	other := newDirectory(t, text("elsewhere", ""))
	plain := httptest.NewServer(text("plain", ""))
	defer plain.Close()
	to := func(location string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				fmt.Fprint(w, "arrived")
				return
			}
			http.Redirect(w, r, location, http.StatusFound)
		}
	}
	for _, tc := range []struct{ name, location, want string }{
		{"same origin", "/keys", ""},
		{"another port", other.URL + "/keys", "another origin"},
		{"plain http", plain.URL + "/keys", "another origin"},
		{"another name of the same server", "https://localhost:%PORT%/keys", "another origin"},
		{"scheme-relative", "//%OTHER%/keys", "another origin"},
		{"in circles", "/", "too often"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory(t, nil)
			port := d.URL[strings.LastIndexByte(d.URL, ':')+1:]
			d.set(to(strings.NewReplacer("%PORT%", port, "%OTHER%", strings.TrimPrefix(other.URL, "https://")).Replace(tc.location)))
			res, err := client(t, jwks.Options{PrivateRanges: true}, d, other).Get(context.Background(), d.URL+"/start")
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %+v, %v", res, err)
				}
				if n := d.asked.Load(); n > 4 {
					t.Errorf("%d requests", n)
				}
			} else if err != nil || string(res.Body) != "arrived" {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
	if other.asked.Load() != 0 {
		t.Error("the other origin was asked")
	}
}

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		name   string
		most   int64
		answer http.HandlerFunc
		ok     bool
	}{
		{"at the bound", 1000, text(strings.Repeat("x", 1000), ""), true},
		{"over it", 1000, text(strings.Repeat("x", 1001), ""), false},
		{"at the default", 0, text(strings.Repeat("x", 512<<10), ""), true},
		{"over the default", 0, text(strings.Repeat("x", 512<<10+1), ""), false},
		{"cut short", 1000, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "x")
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory(t, tc.answer)
			if res, err := client(t, jwks.Options{PrivateRanges: true, MaxBytes: tc.most}, d).Get(context.Background(), d.URL); (err == nil) != tc.ok {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
}

func TestHeaderSize(t *testing.T) {
	for size, ok := range map[int]bool{32 << 10: true, 65 << 10: false, 1 << 20: false} {
		d := newDirectory(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Test", strings.Repeat("x", size)) })
		if _, err := client(t, jwks.Options{PrivateRanges: true}, d).Get(context.Background(), d.URL); (err == nil) != ok {
			t.Errorf("%d bytes of header: %v", size, err)
		}
	}
}

// A server that never ends its answer holds nobody for longer than Timeout.
func TestTimeout(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter){
		"no header": func(http.ResponseWriter) {},
		"no end":    func(w http.ResponseWriter) { fmt.Fprint(w, "x"); w.(http.Flusher).Flush() },
	} {
		d := newDirectory(t, func(w http.ResponseWriter, r *http.Request) {
			begin(w)
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // or the server would end the body properly
		})
		_, err := client(t, jwks.Options{PrivateRanges: true, Timeout: 100 * time.Millisecond}, d).Get(context.Background(), d.URL)
		if timeout := (interface{ Timeout() bool })(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%s: %v, want a timeout", name, err)
		}
	}
}

func TestServerIsVerified(t *testing.T) {
	d := newDirectory(t, text("x", ""))
	if _, err := client(t, jwks.Options{PrivateRanges: true}).Get(context.Background(), d.URL); err == nil {
		t.Error("a server of an unknown CA was believed")
	}
	old := httptest.NewUnstartedServer(text("x", ""))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	if _, err := client(t, jwks.Options{PrivateRanges: true}, &directory{Server: old}).Get(context.Background(), old.URL); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
	if n := d.asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// The address is checked after DNS, when it is dialled.
func TestPrivateAddresses(t *testing.T) {
	d := newDirectory(t, text("x", ""))
	port := d.URL[strings.LastIndexByte(d.URL, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "169.254.169.254", "[fe80::1]", "192.168.0.1"} {
		if _, err := client(t, jwks.Options{}, d).Get(context.Background(), "https://"+host+port+"/"); !errors.Is(err, jwks.ErrAddress) {
			t.Errorf("%s: %v, want ErrAddress", host, err)
		}
	}
	if n := d.asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "1.1.1.1": true, "172.32.0.1": true, "172.15.255.255": true, "100.63.255.255": true, "100.128.0.1": true,
		"198.17.255.255": true, "198.20.0.1": true, "223.255.255.255": true, "2606:4700::1111": true, "2a00:1450::1": true, "::ffff:8.8.8.8": true,

		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.255.255.255": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "192.0.0.8": false, "192.0.2.1": false, "192.88.99.1": false,
		"198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false,
		"100::1": false, "2001::1": false, "2001:db8::1": false, "2002:a00:1::": false, "fc00::1": false, "fdff::1": false, "fe80::1": false, "fec0::1": false, "ff02::1": false,
		"fe80::1%eth0": false, "2606:4700::1111%eth0": false, "3fff::1": false, "5f00::1": false,
		"::ffff:0:7f00:1": false, "1::1": false, "1fff::1": false, "4000::1": false, "e000::1": false, "200::1": false, "3ffe::1": true, "2000::1": true,
	} {
		if got := jwks.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: public is %v", text, got)
		}
	}
	if jwks.Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}
