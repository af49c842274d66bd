package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// outsider is an address at which connections are counted.
func outsider(t *testing.T) (address string, count *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	count = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			conn.Close()
		}
	}()
	return l.Addr().String(), count
}

// questions counts what is asked of the DNS.
func questions(t *testing.T) *atomic.Int64 {
	t.Helper()
	count, before := new(atomic.Int64), net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		count.Add(1)
		return nil, errors.New("no DNS in this test")
	}}
	return count
}

// everywhere is a Caddyfile that names servers and files in every place that has some.
const everywhere = `{
	admin OUTSIDE
	email operator@nowhere.invalid
	acme_ca https://OUTSIDE/acme
	ocsp_stapling off
	metrics
	storage file_system FOLDER/storage
	log {
		output net OUTSIDE
	}
	log second {
		output file FOLDER/second.log
	}
	openbanking_dcr {
		store badger FOLDER/store
		keyset {env.SELFTEST_NOT_SET}
		restored yesterday
	}
	servers {
		listener_wrappers {
			proxy_protocol {
				timeout 2s
			}
			openbanking_dcr
		}
		trusted_proxies static 10.0.0.0/8
	}
}

auth.bank.example, second.bank.example {
	bind 192.0.2.1
	log {
		output file FOLDER/access.log
	}
	tls FOLDER/none.pem FOLDER/none.key {
		client_auth {
			mode verify_if_given
			trust_pool http {
				endpoints OUTSIDE
			}
		}
	}
	tracing
	forward_auth https://OUTSIDE {
		uri /verify
		copy_headers Remote-User
	}
	openbanking_dcr default/obuk {
		proxy http://{env.SELFTEST_NOT_SET}@proxy.nowhere.invalid:3128
		authorization_server https://as.nowhere.invalid/default/obuk {
			client gateway {env.SELFTEST_NOT_SET}
			provision rfc7591 {
				initial_access_token {file.FOLDER/none}
			}
			shared_header X-Own-Secret {env.SELFTEST_NOT_SET}
			tls_client_auth FOLDER/none.pem FOLDER/none.key
			proxy https://proxy.nowhere.invalid
			trust_pool http {
				endpoints OUTSIDE
			}
			introspection_endpoint /elsewhere/introspect
		}
		audience bank
		access_token dcr_register {
			client registrar {env.SELFTEST_NOT_SET}
		}
		software_statement "OpenBanking Ltd" {
			jwks_uri https://OUTSIDE/keys.jwks
			jwks_hosts keys.nowhere.invalid
			revoked_keys
			proxy off
			private_addresses
			trust_pool file FOLDER/none.pem
			org_status Active
			software_mode Live
			max_age 720h
		}
		software_statement "Second Directory" {
			jwks FOLDER/none.jwks
			jwks_hosts keys.nowhere.invalid
		}
		crl FOLDER/none.crl
		crl_mode strict
		unguarded upstream OUTSIDE portal.nowhere.invalid
		bind_certificate ssa_jwks organization_identifier common_name
	}
	handle /portal/* {
		reverse_proxy portal.nowhere.invalid:80 {
			health_uri /health
			health_interval 1s
		}
	}
	reverse_proxy https://as.nowhere.invalid {
		transport http {
			tls_trust_pool file FOLDER/none.pem
			tls_client_auth FOLDER/none.pem FOLDER/none.key
			network_proxy url http://OUTSIDE
		}
		lb_policy random
		health_uri /health
	}
}
`

func everywhereIn(folder, address string) string {
	return strings.NewReplacer("OUTSIDE", address, "FOLDER", folder).Replace(everywhere)
}

// TestNothingOutside: whatever the configuration names is neither connected to nor looked up,
// nor read or written, and nothing is left in the temporary folder. The run passes all the same.
func TestNothingOutside(t *testing.T) {
	dns := questions(t)
	address, connections := outsider(t)
	temporary, folder := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"} {
		t.Setenv(name, folder)
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://"+address)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+address)
	report, err := tried(t, everywhereIn(folder, address), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if !row.OK {
			t.Errorf("%s: got %s, want %s\n%q", row.Name, row.Got, row.Expected, row.Details)
		}
	}
	if connections.Load() != 0 || dns.Load() != 0 {
		t.Errorf("got %d connections and %d questions to the DNS, want none", connections.Load(), dns.Load())
	}
	for _, at := range []string{temporary, folder} {
		entries, err := os.ReadDir(at)
		entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return at == temporary && strings.HasPrefix(e.Name(), "Test") })
		if err != nil || len(entries) != 0 {
			t.Errorf("got %v, %v in %s, want nothing", entries, err, at)
		}
	}
	replaced := map[string]bool{}
	for _, one := range report.Replaced {
		replaced[one.Place] = true
	}
	for _, want := range []string{"admin", "storage", "logging", "apps/tls", "apps/openbanking_dcr/store", "apps/openbanking_dcr/keyset", "apps/openbanking_dcr/restored"} {
		if !replaced[want] {
			t.Errorf("%s is not told of as replaced; got %v", want, report.Replaced)
		}
	}
}

// TestRewritingLeavesNothing: no address and no file of the configuration is in what is run.
func TestRewritingLeavesNothing(t *testing.T) {
	r := rewritten(t, adapted(t, everywhereIn("/srv/outside", "outside.invalid:9999")))
	text, err := r.json()
	if err != nil {
		t.Fatal(err)
	}
	for _, outside := range []string{"outside.invalid", "nowhere.invalid", "/srv/outside", "{env.", "192.0.2.1", "health", "10.0.0.0"} {
		if outside == "10.0.0.0" {
			continue // who is trusted stays: nobody there is asked
		}
		if at := strings.Index(string(text), outside); at >= 0 {
			t.Errorf("%s is left: %.200s", outside, text[max(0, at-80):])
		}
	}
	for _, address := range regexp.MustCompile(`"(?:listen|dial)":\[?"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		if !strings.HasPrefix(address[1], "127.0.0.1:") {
			t.Errorf("%s is no address of this machine", address[1])
		}
	}
	for _, file := range regexp.MustCompile(`"(?:root|filename|directory)":"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		if filepath.Dir(file[1]) != r.folder {
			t.Errorf("%s is not in the temporary folder", file[1])
		}
	}
}

// rewritten is a configuration in JSON as it would be run.
func rewritten(t *testing.T, config []byte) *rewriting {
	t.Helper()
	r := &rewriting{folder: t.TempDir(), stubs: map[string]*stub{}}
	if err := json.Unmarshal(config, &r.tree); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if err := r.rewrite(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestUnknownPartsAreRefused: a part that may reach others, and that nothing can stand for, is
// an error, and a handler that is not known is left out and told of.
func TestUnknownPartsAreRefused(t *testing.T) {
	const site = `{"apps":{"layer4":{},"http":{"servers":{"srv0":{"listen":[":443"],"routes":[{"match":[{"host":["a.example"]%s}],"handle":[%s{"handler":"openbanking_dcr","workspace":"a","authorization_server":{"url":"https://as.example","provision":{"method":"rfc7591"}}%s}]}]}}}}}`
	for _, tc := range []struct{ name, config, fails string }{
		{"matcher", fill(site, `,"geoip":{}`, "", ""), "the matcher geoip"},
		{"matcher in not", fill(site, `,"not":[{"geoip":{}}]`, "", ""), "the matcher geoip"},
		{"policy", fill(site, "", "", `,"policies":[{"policy":{"language":"remote"}}]`), "the language remote"},
		{"handler", fill(site, "", `{"handler":"waf","url":"https://outside.invalid"},`, ""), ""},
		{"member", fill(site, "", "", `,"member_of_a_later_version":"https://outside.invalid"`), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &rewriting{folder: t.TempDir(), stubs: map[string]*stub{}}
			if err := json.Unmarshal([]byte(tc.config), &r.tree); err != nil {
				t.Fatal(err)
			}
			defer r.close()
			if err := r.open(); err != nil {
				t.Fatal(err)
			}
			err := r.rewrite()
			if tc.fails != "" {
				var unknown *NotKnownError
				if !errors.As(err, &unknown) || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("got %v, want %s", err, tc.fails)
				}
				return
			}
			text, jsonErr := r.json()
			if err != nil || jsonErr != nil || strings.Contains(string(text), "outside.invalid") || strings.Contains(string(text), "layer4") {
				t.Errorf("got %s, %v, want it without what is not known", text, err)
			}
			told, _ := json.Marshal(r.replaced)
			for _, want := range []string{"the app layer4", map[string]string{"handler": "the handler waf", "member": "member_of_a_later_version"}[tc.name]} {
				if !strings.Contains(string(told), want) {
					t.Errorf("%s is not told of: %s", want, told)
				}
			}
		})
	}
}

func fill(text string, parts ...string) string {
	for _, part := range parts {
		text = strings.Replace(text, "%s", part, 1)
	}
	return text
}
