package jwks_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// proxied counts the connections to the proxy that the environment of all tests
// here names. It is set before the first request, because net/http reads it once.
var proxied atomic.Int32

func TestMain(m *testing.M) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			proxied.Add(1)
			conn.Close()
		}
	}()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		os.Setenv(name, "http://"+l.Addr().String())
	}
	os.Unsetenv("NO_PROXY")
	os.Unsetenv("no_proxy")
	os.Exit(m.Run())
}

// A proxy of the environment would look the name up itself, and dial what it wants.
func TestProxyOfEnvironment(t *testing.T) {
	d := newDirectory(t, text("arrived", ""))
	c := client(t, jwks.Options{PrivateRanges: true}, d)
	watch(c, resolver(t, []string{"127.0.0.1"}))
	if res, err := c.Get(context.Background(), d.named()); err != nil || string(res.Body) != "arrived" {
		t.Errorf("%+v, %v; want the body \"arrived\"", res, err)
	}
	if n := proxied.Load(); n != 0 {
		t.Errorf("%d connections to the proxy", n)
	}
}
