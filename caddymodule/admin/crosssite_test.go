package admin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// raw sends a request as it is written, and returns the whole answer.
func raw(t *testing.T, network, address, request string) (status int, says string) {
	t.Helper()
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// freePort is one of all addresses.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestCrossSiteRequestsAreRefused at a listener on all addresses, of which Caddy does not check
// the host: pages of other sites read nothing and change nothing.
func TestCrossSiteRequestsAreRefused(t *testing.T) {
	port := freePort(t)
	startWith(t, "admin :"+port, "admin_hosts caddy")
	const ok, no = http.StatusOK, http.StatusForbidden
	for name, c := range map[string]struct {
		headers string
		status  int
	}{
		"curl":                               {"Host: localhost:" + port, ok},
		"an address":                         {"Host: 127.0.0.1:" + port, ok},
		"an address without a port":          {"Host: 127.0.0.1", ok},
		"an address of IPv6":                 {"Host: [::1]:" + port, ok},
		"capitals":                           {"Host: LocalHost:" + port, ok},
		"a name that is configured":          {"Host: caddy:" + port, ok},
		"a name of another site (rebinding)": {"Host: evil.example:" + port, no},
		"a name that begins as an address":   {"Host: 127.0.0.1.evil.example:" + port, no},
		"a name that ends as localhost":      {"Host: evil.localhost:" + port, no},
		"localhost of the root":              {"Host: localhost.:" + port, no},
		"a configured name as a label":       {"Host: caddy.evil.example:" + port, no},
		"a number":                           {"Host: 2130706433:" + port, no},
		"no host":                            {"Host:", no},
		"rebinding that says its own origin": {"Host: evil.example:" + port + "\r\nOrigin: http://evil.example:" + port, no},
		"another origin":                     {"Host: localhost:" + port + "\r\nOrigin: https://evil.example", no},
		"the origin of another port":         {"Host: localhost:" + port + "\r\nOrigin: http://localhost:1", no},
		"no origin at all":                   {"Host: localhost:" + port + "\r\nOrigin: null", http.StatusBadRequest}, // Caddy's
		"an empty origin":                    {"Host: localhost:" + port + "\r\nOrigin:", no},
		"another site, says the browser":     {"Host: localhost:" + port + "\r\nSec-Fetch-Site: cross-site", no},
		"another port, says the browser":     {"Host: localhost:" + port + "\r\nSec-Fetch-Site: same-site", no},
		"two sites":                          {"Host: localhost:" + port + "\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site", no},
		"typed into the browser":             {"Host: localhost:" + port + "\r\nSec-Fetch-Site: none", ok},
		"no-cors":                            {"Host: localhost:" + port + "\r\nSec-Fetch-Mode: no-cors", http.StatusBadRequest}, // Caddy's
	} {
		t.Run(name, func(t *testing.T) {
			status, says := raw(t, "tcp", "127.0.0.1:"+port, "GET /openbanking_dcr/clients HTTP/1.1\r\nConnection: close\r\n"+c.headers+"\r\n\r\n")
			if status != c.status || strings.Contains(says, "entries") != (c.status == ok) {
				t.Errorf("reading: %d %s, want %d", status, says, c.status)
			}
			post := "POST /openbanking_dcr/secrets/rotate HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n" +
				fmt.Sprintf("Content-Length: %d\r\n%s\r\n\r\n%s", len(change), c.headers, change)
			if status, says := raw(t, "tcp", "127.0.0.1:"+port, post); status != c.status || strings.Contains(says, "rotated") != (c.status == ok) {
				t.Errorf("changing: %d %s, want %d", status, says, c.status)
			}
		})
	}
}

// TestUnixSocketHasNoHost that a site could choose.
func TestUnixSocketHasNoHost(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	startWith(t, "admin unix/"+socket, "")
	for host, want := range map[string]int{"": 200, "caddy": 200, "localhost": 200} {
		if status, says := raw(t, "unix", socket, "GET /openbanking_dcr/status HTTP/1.1\r\nConnection: close\r\nHost: "+host+"\r\n\r\n"); status != want {
			t.Errorf("%q: %d %s, want %d", host, status, says, want)
		}
	}
}
