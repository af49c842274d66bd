package page

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"golang.org/x/crypto/bcrypt"
)

// serve runs a gateway and a site, on loopback, with this in it. It returns the address.
func serve(t *testing.T, inSite string) string {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text := "{\n\tadmin off\n\tskip_install_trust\n\tlog {\n\t\toutput discard\n\t}\n\topenbanking_dcr {\n\t\tchecks off\n\t\tstore badger " + t.TempDir() + "\n\t}\n}\n" +
		strings.Replace(strings.Replace(gateway, "auth.bank.example", "http://127.0.0.1:0", 1), "\ttls internal\n", "", 1) + "http://:" + address[strings.LastIndex(address, ":")+1:] + " {\n\tbind 127.0.0.1\n" + inSite + "}\n"
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Run(&config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + address
}

// asks is the status of an address and what it says, for a user.
func asks(t *testing.T, address, user, host string) (status int, says string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, "secret")
	}
	if host != "" {
		r.Host = host
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// TestServed: behind basic_auth, below a path, users are what the block says, and the pages are
// those of the gateway that runs.
func TestServed(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	site := serve(t, "\thandle_path /dcr/* {\n\t\tbasic_auth {\n\t\t\tanna "+string(hash)+"\n\t\t\tbob "+string(hash)+"\n\t\t}\n\t\topenbanking_dcr_admin {\n\t\t\toperators anna\n\t\t}\n\t}\n")
	for _, c := range []struct {
		path, user, host string
		status           int
		says             string
	}{
		{"/dcr/clients", "", "", http.StatusUnauthorized, ""},
		{"/dcr/clients", "carl", "", http.StatusUnauthorized, ""},
		{"/dcr/clients", "anna", "", http.StatusOK, "anna</bdi>, operator"},
		{"/dcr/clients", "bob", "", http.StatusOK, "bob</bdi>, viewer"},
		{"/dcr/clients", "anna", "", http.StatusOK, "No TPP has registered yet"},
		{"/dcr/clients", "anna", "", http.StatusOK, `href="/dcr/assets/page.css?`},
		{"/dcr/clients?status=odd", "anna", "", http.StatusBadRequest, "status"},
		{"/dcr/clients/nobody", "anna", "", http.StatusNotFound, "not found"},
		{"/dcr/", "anna", "", http.StatusSeeOther, ""},
		{"/dcr/assets/page.js", "anna", "", http.StatusOK, "htmx"},
		{"/dcr/clients", "anna", "ops.bank.example", http.StatusOK, "operator"}, // behind a proxy
		{"/dcr/clients", "anna", "localhost", http.StatusOK, "operator"},
	} {
		status, says := asks(t, site+c.path, c.user, c.host)
		if status != c.status || !strings.Contains(says, c.says) {
			t.Errorf("%+v: got %d, %s", c, status, says)
		}
	}
}

// TestLocal: without a login everybody on this machine is a viewer.
func TestLocal(t *testing.T) {
	site := serve(t, "\topenbanking_dcr_admin\n")
	if status, says := asks(t, site+"/clients", "", ""); status != http.StatusOK || !strings.Contains(says, ">viewer<") {
		t.Errorf("got %d, %s", status, says)
	}
	if status, _ := asks(t, site+"/clients", "", "rebound.example"); status != http.StatusForbidden {
		t.Errorf("got %d for the name of another site", status)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", site+"/clients", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("got %d, %v for what a proxy has sent", answer.StatusCode, err)
	}
}
