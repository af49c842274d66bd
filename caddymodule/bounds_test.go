package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestKeyFileSize: a JWKS file of 512 KiB is read, and one of a byte more is not.
func TestKeyFileSize(t *testing.T) {
	name, key := filepath.Join(t.TempDir(), "keys.jwks"), oneKey(t, "a")
	for size, want := range map[int]string{512 << 10: "", 512<<10 + 1: "larger than 524288 bytes"} {
		write(t, name, key+strings.Repeat(" ", size-len(key)))
		_, err := newKeyFile(name, &fileWatch{log: slog.New(slog.DiscardHandler)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes: got %v, want %q", size, err, want)
		}
	}
}

// TestLogsAboutStrangersAreBounded: whoever comes from more and more addresses, or puts
// more and more unusable keys into a JWKS, fills no memory.
func TestLogsAboutStrangersAreBounded(t *testing.T) {
	refused, err := newRefusedHandshakes(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	leftOut := newLeftOutKeys(slog.New(slog.DiscardHandler), t.Name())
	const most = 4096
	for i := range most + 1 {
		if i == most && (refused.of.Len() != most || leftOut.told.Len() != most) {
			t.Errorf("got %d addresses and %d keys, want %d of each", refused.of.Len(), leftOut.told.Len(), most)
		}
		refused.allows(fmt.Sprint(i), time.Now())
		leftOut.tell("https://keys.example/a.jwks", []verify.LeftOut{{KeyID: fmt.Sprint(i), Reason: errors.New("x")}})
	}
	if refused.of.Len() != most || leftOut.told.Len() != most {
		t.Errorf("one more: got %d addresses and %d keys, want %d of each", refused.of.Len(), leftOut.told.Len(), most)
	}
}

// TestSetsThatWaitAreBounded: while the store is slow 4,096 key sets wait to be written,
// each the newest of its URL. One more is dropped, and the log says of which URL.
func TestSetsThatWaitAreBounded(t *testing.T) {
	var log bytes.Buffer
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil))}
	q := &keeping{writing: make(chan struct{})} // it goes on for as long as the test
	write := func(context.Context, *registry.Registry) error { return nil }
	const most = 4096
	for i := range most {
		q.put(a, [2]string{"scope", fmt.Sprint("https://keys.example/", i)}, write)
	}
	q.put(a, [2]string{"scope", "https://keys.example/0"}, write)
	if len(q.waiting) != most || log.Len() > 0 {
		t.Errorf("got %d that wait, and the log %s; want %d and nothing", len(q.waiting), log.String(), most)
	}
	q.put(a, [2]string{"scope", "https://keys.example/more"}, write)
	if len(q.waiting) != most || !strings.Contains(log.String(), "https://keys.example/more") {
		t.Errorf("one more: got %d that wait, and the log %s; want %d and a warning", len(q.waiting), log.String(), most)
	}
}

// TestDefaultHandshakes: 512 are looked at at once, of one address 64.
func TestDefaultHandshakes(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	h := new(Handshakes)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if n := cap(h.places); n != 512 {
		t.Errorf("got %d places, want 512", n)
	}
	taken := 0
	for taken < 512 && h.take("192.0.2.1") {
		taken++
	}
	if taken != 64 || !h.take("192.0.2.2") {
		t.Errorf("one address has %d places, want 64, and another one", taken)
	}
}

// TestWaysListed: of many ways round a refusal names five, and how many more there are.
func TestWaysListed(t *testing.T) {
	for n, more := range map[int]int{5: 0, 6: 1, 20: 15} {
		w := &ways{sites: map[string][]string{"s": {"a"}}}
		for i := range n {
			w.round = append(w.round, wayRound{host: "a", place: fmt.Sprint(i)})
		}
		text := w.refusal().Error()
		if got, named := strings.Count(text, "go round this directive"), strings.HasSuffix(text, fmt.Sprintf("\nand %d more", more)); got != n-more || named != (more > 0) {
			t.Errorf("%d ways: got %d with %s, want %d and %d more", n, got, text, n-more, more)
		}
	}
}

// TestWildcardHosts: of 64 hosts with wildcards every two are looked at together. With one
// more the configuration does not load: a request for two of them might bypass the gateway.
func TestWildcardHosts(t *testing.T) {
	for n, refused := range map[int]bool{64: false, 65: true} {
		var patterns []string
		for i := range n {
			labels := strings.Split(strings.Repeat("*", 65), "")
			labels[i] = "x"
			patterns = append(patterns, strings.Join(labels, "."))
		}
		hosts, _, err := siteHosts([]*siteServer{{routes: []siteRoute{{match: []matcherSet{{{name: "host", values: patterns}}}}}}})
		if refused {
			if err == nil || !strings.Contains(err.Error(), "the sites have 65 hosts with wildcards") {
				t.Errorf("%d wildcards: got %v, want a refusal", n, err)
			}
			continue
		}
		// Without the patterns, and the host that is none of them.
		if got, want := len(hosts)-1-n, n*(n-1)/2; err != nil || got != want {
			t.Errorf("%d wildcards: got %d pairs, %v, want %d", n, got, err, want)
		}
	}
}

// TestRoutesAreNestedSoDeep: 32 routes in each other below the first are followed, and one
// more does not load: requests might go round this directive there.
func TestRoutesAreNestedSoDeep(t *testing.T) {
	const guard = `{"handler":"openbanking_dcr","workspace":"default","authorization_server":{"url":"https://as.internal:9443/default","provision":{"method":"rfc7591"}},"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]}`
	for depth, want := range map[int]string{32: "", 33: "routes are nested more than 32 deep"} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			routes := strings.Repeat(`{"handle":[{"handler":"subroute","routes":[`, depth) + `{"handle":[` + guard + `]}` + strings.Repeat(`]}]}`, depth)
			loadedOr(t, validateJSON(t, `{"admin":{"disabled":true},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}},"apps":{"http":{"servers":{"s":{"routes":[`+routes+`]}}}}}`), want)
		})
	}
}
