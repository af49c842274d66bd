package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// named is the directory's URL under the name that its certificate is for.
func (d *directory) named() string {
	return "https://example.com" + d.URL[strings.LastIndexByte(d.URL, ':'):]
}

// The fixture: where private ranges are allowed the name leads to the server.
func TestNameLeadsToServer(t *testing.T) {
	for _, addresses := range [][]string{{"127.0.0.1"}, {"127.0.0.1", "93.184.216.34"}} {
		d := newDirectory(t, text("arrived", ""))
		c := client(t, jwks.Options{PrivateRanges: true}, d)
		watch(c, resolver(t, addresses))
		if res, err := c.Get(context.Background(), d.named()); err != nil || string(res.Body) != "arrived" {
			t.Errorf("%s: %+v, %v; want the body \"arrived\"", addresses, res, err)
		}
	}
}

// A name that changes its mind between two requests is no way in: what counts is
// the address that is dialled, each time.
func TestRebinding(t *testing.T) {
	d := newDirectory(t, text("inside", ""))
	c := client(t, jwks.Options{}, d)
	passed := watch(c, resolver(t, []string{"93.184.216.34"}, []string{"127.0.0.1"}, []string{"8.8.8.8"}, []string{"10.0.0.1"}))
	for i, want := range []error{errLoopbackOnly, jwks.ErrAddress, errLoopbackOnly, jwks.ErrAddress, jwks.ErrAddress} {
		if _, err := c.Get(context.Background(), d.named()); !errors.Is(err, want) {
			t.Errorf("request %d: %v, want %v", i, err, want)
		}
	}
	if got := passed(); !slices.Equal(got, []string{"93.184.216.34", "8.8.8.8"}) {
		t.Errorf("dialled %s", got)
	}
	if n := d.asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// Of several addresses each one that is tried is checked.
func TestSeveralAddresses(t *testing.T) {
	for _, tc := range []struct {
		name      string
		addresses []string
		passed    []string
	}{
		{"public, then loopback", []string{"93.184.216.34", "127.0.0.1"}, []string{"93.184.216.34"}},
		{"loopback, then public", []string{"127.0.0.1", "93.184.216.34"}, []string{"93.184.216.34"}},
		{"public v6, then loopback", []string{"2606:4700::1111", "127.0.0.1"}, []string{"2606:4700::1111"}},
		{"public, then loopback v6", []string{"93.184.216.34", "::1"}, []string{"93.184.216.34"}},
		{"all within", []string{"127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fd00::1"}, nil},
		{"this host", []string{"0.0.0.0", "::"}, nil},
		{"mapped", []string{"::ffff:127.0.0.1"}, nil},
		{"translated", []string{"::ffff:0:127.0.0.1"}, nil},
		{"compatible", []string{"::127.0.0.1"}, nil},
		{"NAT64", []string{"64:ff9b::7f00:1", "64:ff9b:1::7f00:1"}, nil},
		{"6to4", []string{"2002:7f00:1::1"}, nil},
		{"Teredo", []string{"2001:0:7f00:1::1"}, nil},
		{"link-local", []string{"fe80::1"}, nil},
		{"multicast", []string{"224.0.0.1", "ff02::1"}, nil},
		{"nowhere assigned", []string{"4000::1", "1::1", "e000::1"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory(t, text("inside", ""))
			c := client(t, jwks.Options{}, d)
			passed := watch(c, resolver(t, tc.addresses))
			_, err := c.Get(context.Background(), d.named())
			if err == nil || tc.passed == nil && !errors.Is(err, jwks.ErrAddress) {
				t.Errorf("got %v", err)
			}
			if got := passed(); !slices.Equal(got, tc.passed) {
				t.Errorf("dialled %s", got)
			}
			if n := d.asked.Load(); n != 0 {
				t.Errorf("%d requests arrived", n)
			}
		})
	}
}

// Addresses written into the URL, as what they are and in disguise.
func TestAddressInURLIsRefused(t *testing.T) {
	d := newDirectory(t, text("inside", ""))
	port := d.URL[strings.LastIndexByte(d.URL, ':'):]
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]",
		"[2002:7f00:1::]", "[fe80::1%25lo]", "[::1%25lo]", "[::ffff:127.0.0.1%25lo]", "[2606:4700::1111%25lo]", "0", "0.0.0.0",
		"2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "localhost", "localhost.", "LOCALHOST", "127.0.0.1%00", "①②⑦.⓪.⓪.①",
	} {
		c := client(t, jwks.Options{}, d)
		passed := watch(c, resolver(t, []string{"127.0.0.1", "::1"})) // whoever asks for a name gets in here
		if _, err := c.Get(context.Background(), "https://"+host+port+"/"); err == nil {
			t.Errorf("%s: answered", host)
		}
		if got := passed(); got != nil {
			t.Errorf("%s: dialled %s", host, got)
		}
	}
	if n := d.asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// A redirect within the origin is followed, and its address is checked again
// when it is dialled again.
func TestRedirectIsCheckedAgain(t *testing.T) {
	d := newDirectory(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.Redirect(w, r, "/keys", http.StatusFound)
	})
	c := client(t, jwks.Options{}, d)
	dialled, check := 0, c.Dialer().Control
	c.Dialer().Control = func(network, address string, conn syscall.RawConn) error {
		if dialled++; dialled == 1 {
			return nil // the first time loopback stands for a public address
		}
		return check(network, address, conn)
	}
	if _, err := c.Get(context.Background(), d.URL+"/start"); !errors.Is(err, jwks.ErrAddress) {
		t.Errorf("got %v", err)
	}
	if n := d.asked.Load(); n != 1 || dialled != 2 {
		t.Errorf("%d requests on %d connections", n, dialled)
	}
}
