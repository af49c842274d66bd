package authserverprocess_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	. "github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

func TestServersDoNotShareSigningKeys(t *testing.T) {
	for _, kind := range Kinds {
		t.Run(string(kind), func(t *testing.T) {
			first, second := start(t, kind, nil), start(t, kind, nil)
			key, other := first.signingKey(), second.signingKey()
			if key == other {
				t.Errorf("two servers at once: got the RSA key %s twice, want two keys", key)
			}
			if err := first.Stop(); err != nil {
				t.Fatal(err)
			}
			again := start(t, kind, func(c *Config) { c.SigningKey = first.Config.SigningKey })
			if got := again.signingKey(); got == key || got == other {
				t.Errorf("restarted server: got the RSA key %s, want neither the earlier one, %s, nor the other server's, %s", got, key, other)
			}
		})
	}
}

func TestSigningKeyIsUsedAgain(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, first *server) {
		key := first.signingKey()
		if err := first.Kill(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for range 50 { // the keys of earlier tests come first
			next := start(t, first.Kind, nil)
			got = append(got, next.signingKey())
			if got[len(got)-1] == key {
				return
			}
			if err := next.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		t.Errorf("got the RSA keys %v, want the one of the killed server, %s, among them", got, key)
	})
}

// signingKey is the thumbprint of the server's RSA key at its jwks_uri.
func (s *server) signingKey() string {
	s.t.Helper()
	u, err := url.Parse(s.discovery["jwks_uri"].(string))
	if err != nil {
		s.t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	raw := s.status(http.StatusOK, s.request("GET", strings.TrimPrefix(u.Path, s.Config.Prefix), nil))
	if err := json.Unmarshal(raw, &set); err != nil {
		s.t.Fatalf("jwks_uri: %v: %s", err, raw)
	}
	keys := set.Key("ps256")
	if len(keys) != 1 {
		s.t.Fatalf("jwks_uri: got %d keys with the kid ps256, want 1: %s", len(keys), raw)
	}
	thumbprint, err := keys[0].Thumbprint(crypto.SHA256)
	if err != nil {
		s.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(thumbprint)
}
