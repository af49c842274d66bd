package caddymodule

import (
	"bytes"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretMethodsLoad: methods with a secret are off by default, and on where the
// gateway can be the client at the AS.
func TestSecretMethodsLoad(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, method := range verify.SecretMethods {
		for mode, want := range map[string]string{"": "", "auto": "", "bridge": "", "native": "token_endpoint_auth native"} {
			pairs := append(workspaceWord("token_endpoint_auth_methods tls_client_auth "+method), "DIRECTORY", filepath.Join(t.TempDir(), "store"))
			if mode != "" {
				pairs = append(pairs, "provision rfc7591", "provision rfc7591\n\t\t\ttoken_endpoint_auth "+mode)
			}
			_, err := load(t, site(pairs...))
			if (want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), method)) {
				t.Errorf("%s with %q: %v, want %q", method, mode, err, want)
			}
		}
	}
	_, err := load(t, site(append(workspaceWord("token_endpoint_auth_methods client_secret_none"), "DIRECTORY", filepath.Join(t.TempDir(), "store"))...))
	if err == nil || !strings.Contains(err.Error(), "must be some of") {
		t.Errorf("a method that nobody knows: %v", err)
	}
}

// TestSecretMethodsWarn: each load says that secrets are on, once, and what to do.
func TestSecretMethodsWarn(t *testing.T) {
	for _, c := range []struct {
		methods  []string
		explains bool
		want     int
	}{
		{nil, false, 0},
		{[]string{"tls_client_auth", "private_key_jwt"}, false, 0},
		{[]string{"tls_client_auth", "client_secret_jwt", "client_secret_basic"}, false, 1},
		{[]string{"client_secret_post"}, true, 0},
	} {
		var log bytes.Buffer
		h := &Handler{Workspace: "default/obuk", app: new(App), AuthorizationServer: &AuthorizationServer{}, explains: c.explains, log: slog.New(slog.NewTextHandler(&log, nil))}
		h.AuthMethods = c.methods
		if err := h.checkSecretMethods(); err != nil || strings.Count(log.String(), "FAPI 1 Advanced") != c.want || c.want == 1 && !strings.Contains(log.String(), `methods="client_secret_jwt client_secret_basic"`) {
			t.Errorf("%q: got %v, %s, want %d warnings of FAPI 1 Advanced", c.methods, err, log.String(), c.want)
		}
	}
}
