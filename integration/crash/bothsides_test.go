package crash_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

// sides is what the two systems of record say.

// atAS are the redirect URIs of the AS's clients, by client_id.
func (b *bank) atAS(ctx context.Context) (map[string]string, error) {
	clients, err := b.AS.Clients(ctx)
	found := map[string]string{}
	for _, c := range clients {
		found[c["client_id"].(string)] = strings.Trim(fmt.Sprint(c["redirect_uris"]), "[]")
	}
	return found, err
}

// read is the redirect URI that the gateway says a client has; errGone for a client
// that is nowhere: no token, no registration.
func (b *bank) read(ctx context.Context, id string) (string, error) {
	r, err := insist(ctx, func() (*tpp.Response, error) {
		return b.Client(b.Acme).Token(ctx, b.Endpoint("token_endpoint"), tpp.ClientCredentials("openid"), tpp.TLSClientAuth(id))
	})
	switch {
	case err != nil:
		return "", err
	case r.Status == http.StatusUnauthorized && r.Text("error") == "invalid_client":
		return "", errGone
	case r.Status != http.StatusOK:
		return "", fmt.Errorf("token for %s: %v", id, r)
	}
	token := r.Text("access_token")
	r, err = insist(ctx, func() (*tpp.Response, error) { return b.Client(b.Acme).Read(ctx, b.Register, id, token) })
	switch {
	case err != nil:
		return "", err
	case r.Status != http.StatusOK:
		return "", fmt.Errorf("reading %s: %v", id, r)
	}
	return strings.Trim(fmt.Sprint(r.JSON["redirect_uris"]), "[]"), nil
}

var errGone = errors.New("gone")

// recovered is how long what a crash has left may take: a lease of a tenth, and a few
// attempts, on a machine that runs other tests too.
const recovered = 60 * time.Second

// wholly waits until a client is the same on both sides, and tells how: with a
// redirect URI, or "" for gone.
func (b *bank) wholly(t *testing.T, id string) (uri string) {
	t.Helper()
	err := story.Eventually(t.Context(), recovered, func() error {
		have, err := b.atAS(t.Context())
		if err != nil {
			return err
		}
		uri, err = b.read(t.Context(), id)
		if errors.Is(err, errGone) {
			uri, err = "", nil
		}
		if err == nil && uri != have[id] {
			err = fmt.Errorf("client %s: the registry has %q, the authorization server %q", id, uri, have[id])
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return uri
}

// onlyThese waits until the AS has no other clients than these, and returns how
// many others there are in the end: with client_id_header there must be none.
func (b *bank) onlyThese(t *testing.T, ids map[string]bool, mayBeLost int) (orphans int) {
	t.Helper()
	err := story.Eventually(t.Context(), recovered, func() error {
		have, err := b.atAS(t.Context())
		if err != nil {
			return err
		}
		missing := 0
		orphans = 0
		for id := range have {
			if !ids[id] {
				orphans++
			}
		}
		for id := range ids {
			if _, ok := have[id]; !ok {
				missing++
			}
		}
		if missing > 0 || orphans > mayBeLost {
			return fmt.Errorf("the authorization server lacks %d clients and has %d that nobody was told of, %d may be", missing, orphans, mayBeLost)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return orphans
}

// updates puts a request until there is an answer, and holds that it is a 200.
func (b *bank) updates(t *testing.T, id, token, body string) {
	t.Helper()
	r, err := insist(t.Context(), func() (*tpp.Response, error) {
		return b.Client(b.Acme).Update(t.Context(), b.Register, id, token, body)
	})
	if err != nil || r.Status != http.StatusOK {
		t.Errorf("an update afterwards: %v, %v, want 200", r, err)
	}
}

// isDetached waits until what a cut update has left is settled, and tells whether the
// AS does not let the client be changed any more. Such a client works as before, and
// operators are shown it.
func (b *bank) isDetached(t *testing.T, id, token string, a attempt) bool {
	t.Helper()
	body, err := b.request(a.uri, a.uri)
	if err != nil {
		t.Fatal(err)
	}
	r, err := insist(t.Context(), func() (*tpp.Response, error) {
		return b.Client(b.Acme).Update(t.Context(), b.Register, id, token, body)
	})
	if err != nil || r.Status == http.StatusOK {
		return false // or the next check says so
	}
	if r.Status != http.StatusBadRequest || !strings.Contains(r.Text("error_description"), "delete it and register a new client") {
		t.Errorf("an update of a client whose update was cut: %v, want 400, delete it and register a new client", r)
	}
	if uri, err := b.read(t.Context(), id); err != nil || !strings.HasPrefix(uri, a.uri) {
		t.Errorf("it has %q, %v", uri, err)
	}
	if list, err := b.discrepancies(t.Context()); err != nil || !strings.Contains(list, id) {
		t.Errorf("operators are not shown %s: %s, %v", id, list, err)
	}
	return true
}

var adminListener = regexp.MustCompile(`(?m)^\tadmin (\S+)$`)

// discrepancies is what operators are shown.
func (b *bank) discrepancies(ctx context.Context) (string, error) {
	r, err := b.admin(ctx, "discrepancies?limit=1000")
	if err != nil {
		return "", err
	}
	return string(r.Body), nil
}

func (b *bank) admin(ctx context.Context, path string) (*tpp.Response, error) {
	return b.atAdmin(ctx, "/openbanking_dcr/"+path)
}

func (b *bank) atAdmin(ctx context.Context, path string) (*tpp.Response, error) {
	address := "http://" + adminListener.FindStringSubmatch(b.Caddyfile)[1] + path
	client := tpp.NewClient(tpp.ClientOptions{NoKeepAlive: true})
	defer client.Close()
	return client.Do(ctx, http.MethodGet, address, nil, nil)
}

// outboxIsEmpty waits until nothing is left for the AS.
func (b *bank) outboxIsEmpty(ctx context.Context) error {
	return story.Eventually(ctx, recovered, func() error {
		r, err := b.admin(ctx, "outbox?limit=1")
		if err == nil && (r.Status != http.StatusOK || strings.Contains(string(r.Body), `"due"`)) {
			err = fmt.Errorf("the outbox has %v", r)
		}
		return err
	})
}

// register posts until there is an answer, and holds that it is a 201.
func (b *bank) register(t *testing.T, a attempt) (id string) {
	t.Helper()
	r, err := insist(t.Context(), func() (*tpp.Response, error) {
		return b.Client(b.Acme).Register(t.Context(), b.Register, a.token, a.body)
	})
	if err != nil || r.Status != http.StatusCreated {
		t.Fatalf("the same registration once more: %v, %v, want 201", r, err)
	}
	return r.Text("client_id")
}

// bothSidesAgree holds the metadata of all clients against each other. Without
// client_id_header an update that was cut may leave the AS with the new ones: then
// operators are shown the client.
func (b *bank) bothSidesAgree(t *testing.T, ids map[string]bool, l *log) {
	t.Helper()
	shown, err := b.discrepancies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	have, err := b.atAS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id := range ids {
		if have[id] != l.told[id].has && (b.chooses || !strings.Contains(shown, id)) {
			b.wholly(t, id) // what was cut off last may still be on its way
		}
	}
}

// nothingPending stops the gateway and holds that its registry has only clients that
// are active, none of them made of the same token and request, and no work left for
// the AS.
func (b *bank) nothingPending(t *testing.T) {
	t.Helper()
	b.backlogIsCounted(t)
	if err := b.stopSettled(t.Context()); err != nil {
		t.Error(err)
	}
	b.trailHolds(t)
	b.countsHold(t)
	if twice := b.usedTwice(t); twice > 0 {
		t.Errorf("%d tokens, each with its jti, have registered more than one client", twice)
	}
}

// stopSettled stops the gateway when no work is left. What was cut off last may wait for
// the end of a lease, which only the store shows, and that one process has at a time.
func (b *bank) stopSettled(ctx context.Context) error {
	return story.Eventually(ctx, recovered, func() error {
		if err := b.Gateway.Stop(); err != nil {
			return err
		}
		left, err := b.left(ctx, filepath.Join(b.Dir, "store"))
		if err != nil || len(left) == 0 {
			return err
		}
		left = append(left, b.Gateway.Restart(ctx), b.outboxIsEmpty(ctx))
		return errors.Join(left...)
	})
}

// settled waits until the running gateway has no work left. It looks into a copy of the
// store: a copy that a commit has changed meanwhile does not open, or has work.
func (b *bank) settled(ctx context.Context) error {
	return story.Eventually(ctx, recovered, func() error {
		if err := b.outboxIsEmpty(ctx); err != nil {
			return err
		}
		copied := filepath.Join(b.Dir, "store-copied")
		if err := os.RemoveAll(copied); err != nil {
			return err
		}
		// cp leaves out the holes of Badger's files, which are nearly all of them.
		if out, err := exec.CommandContext(ctx, "cp", "-r", filepath.Join(b.Dir, "store"), copied).CombinedOutput(); err != nil {
			return fmt.Errorf("cp: %w: %s", err, out)
		}
		left, err := b.left(ctx, copied)
		return errors.Join(append(left, err)...)
	})
}

// left is what a store that no gateway has open has of work and of clients that are not
// active.
func (b *bank) left(ctx context.Context, dir string) (left []error, err error) {
	store, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	err = store.View(ctx, func(r registry.Reader) error {
		left, b.made, b.trail, b.counts = nil, nil, nil, map[string][]byte{}
		for _, prefix := range []string{"later/", "outbox/", "client/", "audit/", "software/"} {
			entries, err := r.Scan(prefix, "", 100_000)
			if err != nil {
				return err
			}
			for _, e := range entries {
				switch prefix {
				case "audit/":
					b.trail = append(b.trail, e.Value)
					continue
				case "software/":
					b.counts[e.Key] = e.Value
					continue
				}
				if prefix != "client/" || !strings.Contains(string(e.Value), `"status":"active"`) {
					left = append(left, fmt.Errorf("left behind: %s %.200s", e.Key, e.Value))
				}
				if prefix == "client/" {
					b.made = append(b.made, e.Value)
				}
			}
		}
		return nil
	})
	return left, errors.Join(err, store.Close())
}
