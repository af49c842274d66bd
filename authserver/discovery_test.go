package authserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// documents is a store of the last good document.
type documents struct {
	mu    sync.Mutex
	kept  string
	fails error
}

func (d *documents) Load(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return []byte(d.kept), d.fails
}

func (d *documents) Save(_ context.Context, document []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails == nil {
		d.kept = string(document)
	}
	return d.fails
}

// metadata is the document that is known now.
func (e *edge) metadata() *authserver.Metadata {
	e.t.Helper()
	m, err := e.Metadata(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return m
}

func TestDiscoveryFallsBack(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusNotFound, "no such page"))
	e.on(older, answer(http.StatusOK, e.document()))
	if m := e.metadata(); m.Issuer != issuer {
		t.Errorf("issuer %s", m.Issuer)
	}
	if accept := e.only(older).header.Get("Accept"); accept != "application/json" {
		t.Errorf("Accept %s", accept)
	}
	// Only a server that has none is asked for the other.
	e = newEdge(t, nil)
	e.on(discovery, answer(http.StatusInternalServerError, "{}"))
	e.on(older, answer(http.StatusOK, e.document()))
	_, err := e.Metadata(t.Context())
	e.refused(err, refusal.Unavailable)
	if len(e.to(older)) != 0 {
		t.Error("a server that is broken was asked for the other document")
	}
}

func TestDiscoveryAge(t *testing.T) {
	for _, test := range []struct {
		cacheControl string
		age          time.Duration
	}{
		{"", 5 * time.Minute},
		{"no-store", 5 * time.Minute},
		{"max-age=0", time.Minute},
		{"max-age=59", time.Minute},
		{"public, max-age=600", 10 * time.Minute},
		{"max-age=3600", time.Hour},
		{"max-age=86400", time.Hour},
		{"max-age=soon", 5 * time.Minute},
	} {
		t.Run(test.cacheControl, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusOK, e.document(), "Cache-Control", test.cacheControl))
			first := e.metadata()
			e.later(test.age - 1)
			if e.metadata() != first || len(e.to(discovery)) != 1 {
				t.Fatalf("fetched %d times before its end", len(e.to(discovery)))
			}
			e.later(1)
			if e.metadata() != first {
				t.Error("a stale document is not served while it is fetched")
			}
			wait.Until(t, "another fetch", func() bool { return len(e.to(discovery)) == 2 })
		})
	}
}

func TestDiscoveryInTheBackground(t *testing.T) {
	e := newEdge(t, nil)
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	second := answer(http.StatusOK, e.document("issuer", `"https://other.example/as"`))
	e.on(discovery, answer(http.StatusOK, e.document()), func(w http.ResponseWriter, r *http.Request) {
		<-gate
		second(w, r)
	})
	first := e.metadata()
	e.later(time.Hour)
	for range 10 {
		if e.metadata() != first {
			t.Fatal("another document while it is fetched")
		}
	}
	wait.Until(t, "another fetch", func() bool { return len(e.to(discovery)) == 2 })
	release()
	wait.Until(t, "the new document", func() bool { return e.metadata() != first })
	if m := e.metadata(); m.Issuer != "https://other.example/as" || len(e.to(discovery)) != 2 {
		t.Errorf("issuer %s after %d fetches", m.Issuer, len(e.to(discovery)))
	}
}

// TestOneDocumentForARequest: what is done with a request's context sees the document that
// the request began with, of its own server.
func TestOneDocumentForARequest(t *testing.T) {
	e, other := newEdge(t, nil), newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document()), answer(http.StatusOK, e.document("issuer", `"https://new.example/as"`)))
	first := e.metadata()
	request := context.WithValue(t.Context(), authserver.MetadataKey{Server: e.Server}, first)
	e.later(time.Hour)
	wait.Until(t, "the new document", func() bool { return e.metadata() != first })
	if m, err := e.Metadata(request); err != nil || m != first {
		t.Errorf("the request sees %+v, %v", m, err)
	}
	if m, err := other.Metadata(request); err != nil || m == first {
		t.Errorf("another server's is %+v, %v", m, err)
	}
}

func TestDiscoveryUnchanged(t *testing.T) {
	e := newEdge(t, nil)
	first := e.metadata()
	for fetches := 2; fetches < 5; fetches++ {
		wait.Until(t, "another fetch", func() bool {
			e.later(time.Minute) // the last fetch may not have ended yet
			if e.metadata() != first {
				t.Fatal("the same document is another one")
			}
			return len(e.to(discovery)) == fetches
		})
	}
}

func TestDiscoveryWhileTheASIsDown(t *testing.T) {
	store := &documents{}
	e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Documents = store })
	e.on(discovery, answer(http.StatusOK, e.document()), answer(http.StatusOK, `{"issuer":`), answer(http.StatusServiceUnavailable, "{}"), answer(http.StatusOK, e.document("issuer", `"https://new.example/as"`)))
	first := e.metadata()
	if store.kept != e.document() {
		t.Errorf("kept: %s", store.kept)
	}
	e.later(time.Hour)
	for fetches := 2; fetches < 4; fetches++ {
		wait.Until(t, "the failure in the log", func() bool {
			return e.metadata() == first && strings.Count(e.log.String(), "cannot fetch the authorization server's discovery document") == fetches-1
		})
		e.later(10*time.Second - 1)
		if e.metadata() != first || len(e.to(discovery)) != fetches {
			t.Errorf("%d fetches, want %d", len(e.to(discovery)), fetches)
		}
		e.later(1)
	}
	wait.Until(t, "the new document", func() bool { return e.metadata() != first })
	if !strings.Contains(store.kept, "new.example") {
		t.Errorf("kept: %s", store.kept)
	}
}

// TestDocumentsThatCannotBeUsed: whatever an AS publishes, the last good document counts
// until it publishes another good one. A large one is good.
func TestDocumentsThatCannotBeUsed(t *testing.T) {
	e := newEdge(t, nil)
	large := e.document("x", `"`+strings.Repeat("a", 500<<10)+`"`)
	for name, bad := range map[string]http.HandlerFunc{
		"nothing":                    answer(http.StatusOK, ""),
		"half of it":                 answer(http.StatusOK, e.document()[:200]),
		"a page":                     answer(http.StatusOK, "<html>login</html>"),
		"a list":                     answer(http.StatusOK, `[`+e.document()+`]`),
		"a member twice":             answer(http.StatusOK, strings.Replace(e.document(), `{`, `{"issuer":"https://evil.example",`, 1)),
		"something after it":         answer(http.StatusOK, e.document()+"{}"),
		"another type of the issuer": answer(http.StatusOK, e.document("issuer", `["https://bank.example/as"]`)),
		"no issuer":                  answer(http.StatusOK, e.document("issuer", "")),
		"an issuer over http":        answer(http.StatusOK, e.document("issuer", `"http://bank.example/as"`)),
		"lists of another type":      answer(http.StatusOK, e.document("token_endpoint_auth_methods_supported", `"tls_client_auth"`)),
		"too large":                  answer(http.StatusOK, e.document("x", `"`+strings.Repeat("a", 513<<10)+`"`)),
		"gone":                       answer(http.StatusNotFound, ""),
		"forbidden":                  answer(http.StatusForbidden, ""),
		"moved":                      answer(http.StatusFound, "", "Location", "https://evil.example/document"),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusOK, e.document()), bad, answer(http.StatusOK, large))
			first := e.metadata()
			e.later(time.Hour)
			wait.Until(t, "the failure in the log", func() bool {
				return e.metadata() == first && strings.Contains(e.log.String(), "cannot fetch the authorization server's discovery document")
			})
			e.later(10 * time.Second)
			wait.Until(t, "the large document", func() bool { return e.metadata() != first })
		})
	}
}

func TestFirstDiscoveryIsShared(t *testing.T) {
	e := newEdge(t, nil)
	arrived, gate := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	e.on(discovery, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-gate
		answer(http.StatusOK, e.document())(w, r)
	}, answer(http.StatusBadGateway, ""))
	// Who begins the fetch and goes away is told so, and takes it from nobody.
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-arrived; leave() }()
	_, err := e.Metadata(ctx)
	if e.refused(err, refusal.Unavailable); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	var started, done sync.WaitGroup
	found := make([]*authserver.Metadata, 8)
	for i := range found {
		started.Add(1)
		done.Go(func() {
			started.Done()
			found[i], _ = e.Metadata(t.Context())
		})
	}
	wait.ForGroup(t, &started, "the start of those who ask")
	release()
	wait.ForGroup(t, &done, "the document of those who ask")
	for _, m := range found {
		if m == nil || m != found[0] {
			t.Fatalf("not one document for all: %v", found)
		}
	}
	e.only(discovery)
}

func TestFirstDiscoveryFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		store *documents
		kept  bool // and of use
	}{
		{"no store", nil, false},
		{"a kept document", &documents{kept: "good"}, true},
		{"nothing kept", &documents{fails: errors.New("no such document")}, false},
		{"kept by a version that was less strict", &documents{kept: `{"issuer":"http://bank.example/as"}`}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(e *edge, o *authserver.Options) {
				if test.store != nil {
					o.Documents = test.store
				}
				if test.kept {
					test.store.kept = e.document("issuer", `"https://kept.example/as"`)
				}
			})
			e.on(discovery, answer(http.StatusBadGateway, "down"))
			for range 3 {
				m, err := e.Metadata(t.Context())
				if test.kept && (err != nil || m.Issuer != "https://kept.example/as") {
					t.Fatalf("%v, error %v", m, err)
				}
				if !test.kept {
					e.refused(err, refusal.Unavailable)
				}
			}
			e.later(10*time.Second - 1)
			_, _ = e.Metadata(t.Context())
			e.only(discovery)

			e.on(discovery, answer(http.StatusOK, e.document()))
			e.later(1)
			wait.Until(t, "the AS to be back", func() bool {
				m, err := e.Metadata(t.Context())
				return err == nil && m.Issuer == issuer
			})
			if test.store != nil && test.store.fails == nil && test.store.kept != e.document() {
				t.Errorf("kept: %s", test.store.kept)
			}
		})
	}
}

// TestDocumentsNotKept: a store that cannot write is not worth an outage.
func TestDocumentsNotKept(t *testing.T) {
	e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Documents = &documents{fails: errors.New("disk full")} })
	if m := e.metadata(); m.Issuer != issuer || !strings.Contains(e.log.String(), "disk full") {
		t.Errorf("issuer %s, log %s", m.Issuer, e.log)
	}
}
