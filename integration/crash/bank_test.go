// Package crash_test kills the gateway, as a power failure does, wherever it stands
// between its registry and the bank's authorization server (AS), and looks at what is
// left on both sides.
package crash_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// variant is an AS, whether the gateway chooses the client_ids, and what a POST does
// that repeats another one.
type variant struct {
	kind       authserverprocess.Kind
	chooses    bool
	reregister string
}

func (v variant) String() string {
	if v.chooses {
		return string(v.kind) + " with client_id_header"
	}
	return string(v.kind) + " without client_id_header"
}

// eachVariant runs a test against all of them, side by side, with repeated POSTs
// answered from the record: then a TPP has its answer in the end.
func eachVariant(t *testing.T, f func(*testing.T, *bank)) {
	atVariants(t, authserverprocess.Kinds, registry.ReregisterReturn, f)
}

func atVariants(t *testing.T, kinds []authserverprocess.Kind, reregister string, f func(*testing.T, *bank)) {
	for _, kind := range kinds {
		for _, chooses := range []bool{true, false} {
			v := variant{kind, chooses, reregister}
			t.Run(v.String(), func(t *testing.T) {
				t.Parallel()
				f(t, openBank(t, v))
			})
		}
	}
}

// bank is a stage whose gateway can be killed.
type bank struct {
	*story.Play
	variant
	// registration is the path of the AS's own registration endpoint.
	registration string
	tokenPath    string
	// made are the registry's clients as nothingPending has last seen them.
	made [][]byte
	// trail is the registry's audit trail as nothingPending has last seen it.
	trail [][]byte
	// counts are the records of software as nothingPending has last seen them, by key.
	counts map[string][]byte
	// acknowledged are the attempts that stayUsedUp looks at.
	acknowledged []acknowledgement
}

func openBank(t *testing.T, v variant) *bank {
	t.Helper()
	binary, err := gateway.BuildCrashing()
	if err != nil {
		t.Fatal(err)
	}
	edits := []gateway.Edit{gateway.Unlimited, gateway.Workspace("reregister " + v.reregister)}
	if !v.chooses {
		edits = append(edits, gateway.At("client_id_header").Remove())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := story.Open(ctx, story.Options{Binary: binary, Dir: t.TempDir(), Kind: v.kind, Edits: edits})
	if err != nil {
		t.Fatal(err)
	}
	b := &bank{Play: &story.Play{Stage: s}, variant: v}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log := s.Gateway.Log()
			t.Logf("the gateway's log:\n%s", log[max(0, len(log)-32<<10):])
			t.Logf("the authorization server's log:\n%s", s.AS.Log())
		}
	})
	if err := b.Learn(ctx); err != nil {
		t.Fatal(err)
	}
	if b.registration, err = b.InternalRegistration(ctx); err != nil {
		t.Fatal(err)
	}
	b.tokenPath = strings.TrimPrefix(b.Endpoint("token_endpoint"), strings.TrimSuffix(b.Issuer, story.Prefix))
	return b
}

// token gets a token from the AS itself, also while the gateway is down: a
// registration token, or one of a client with Acme's certificate.
func (b *bank) token(ctx context.Context, clientID string) (string, error) {
	direct := tpp.NewClient(b.ClientOptions())
	defer direct.Close()
	form, header := tpp.ClientCredentials("openid"), http.Header{}
	auth := tpp.TLSClientAuth(clientID)
	if clientID == "" {
		form = tpp.ClientCredentials("dcr_register")
		auth = tpp.Basic(b.AS.Config.RegistrarID, b.AS.Config.RegistrarSecret)
	} else {
		header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(b.Acme.Transport.Certificate[0])+":")
	}
	if err := auth(form, header); err != nil {
		return "", err
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	u, err := url.Parse(b.AS.URL())
	if err != nil {
		return "", err
	}
	r, err := direct.Do(ctx, http.MethodPost, "https://"+u.Host+b.tokenPath, header, []byte(form.Encode()))
	if err == nil && r.Text("access_token") == "" {
		err = fmt.Errorf("no token for %q: %v", clientID, r)
	}
	if err != nil {
		return "", err
	}
	return r.Text("access_token"), nil
}

// attempt is one registration: a token and a signed request.
type attempt struct {
	token, body string
	// uri is its redirect URI, which no other attempt has: the gateway takes it for a
	// repetition of none, and on both sides its client is known by it.
	uri string
}

func (b *bank) prepare(ctx context.Context) (a attempt, err error) {
	a.uri = "https://tpp.example/" + uuid.NewString()
	if a.token, err = b.token(ctx, ""); err != nil {
		return a, err
	}
	a.body, err = b.request(a.uri, a.uri)
	return a, err
}

// request asks for one redirect URI, out of a statement that has the URI of a
// registration and another one below it.
func (b *bank) request(uri, asked string) (string, error) {
	statement, err := b.Acme.Statement(map[string]any{"software_redirect_uris": []string{uri, uri + "/updated"}})
	if err != nil {
		return "", err
	}
	return b.Acme.Request(map[string]any{"software_statement": statement, "redirect_uris": []string{asked}})
}

var errNoAnswer = errors.New("no answer")

// insist does what a TPP does that got no answer, or a 503: the very same once more.
func insist(ctx context.Context, call func() (*tpp.Response, error)) (*tpp.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for {
		r, err := call()
		if err == nil && r.Status != http.StatusServiceUnavailable {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(errNoAnswer, err, fmt.Errorf("last: %v", r))
		case <-pause.C:
		}
	}
}
