package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestFilesAreReadAgain: what is changed in a file that the configuration names counts
// within seconds, without a reload, and the log says so. What cannot be used changes nothing.
func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Binary: raceDetecting(t), Kind: authserverprocess.GoOIDC}))
	dir := t.TempDir()
	keys, policy := filepath.Join(dir, "keys.jwks"), filepath.Join(dir, "policy.cel")
	replace := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	set := func(keys any) string {
		t.Helper()
		raw, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	replace(keys, set(p.Directory.JWKS()))
	replace(policy, "true")
	reload(t, p, gateway.Workspace("clients_per_software off", "rate_limit off", "policy cel file "+policy+" {", "\tname let_in", "\ttimeout 1s", "}"),
		gateway.At("jwks_uri").Replace("jwks "+keys, "jwks_hosts 127.0.0.1 localhost"))
	is := func(what string, status int, says string) {
		t.Helper()
		err := story.Eventually(t.Context(), 20*time.Second, func() error {
			r := registers(t, p, p.Client(p.Acme), nil)
			if r.Status != status || !strings.Contains(r.Text("error_description"), says) {
				return fmt.Errorf("%v, want %d %s", r, status, says)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	const again, unusable = "read a file again that has changed", "cannot use a file that has changed"
	is("at first", http.StatusCreated, "")
	if strings.Contains(p.Gateway.Log(), again) {
		t.Error("a file that has not changed was read again")
	}
	replace(keys, set(p.Other.JWKS()))
	is("the directory's key is withdrawn", http.StatusBadRequest, "software_statement: is signed with a key that is not in the JWKS")
	says(t, p.Gateway, again)
	replace(keys, "{")
	says(t, p.Gateway, unusable)
	is("the file is bad", http.StatusBadRequest, "software_statement: is signed with a key that is not in the JWKS")
	replace(keys, set(p.Directory.JWKS()))
	is("the key is back", http.StatusCreated, "")
	replace(policy, "false")
	is("another policy", http.StatusBadRequest, "policy")
	replace(policy, "nonsense")
	is("a policy that does not compile", http.StatusBadRequest, "policy")
	replace(policy, "true")
	is("the first policy", http.StatusCreated, "")
}
