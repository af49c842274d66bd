package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// reloads is how often the gateway is reloaded under traffic.
const reloads = 20

// TestReloadUnderTraffic compares two sites of one Caddy while it is reloaded:
// ours, and one that only has respond. No Caddy can do without lost connections
// (net/http closes an idle one while a request is being written), but what a site
// received whole, it answers.
func TestReloadUnderTraffic(t *testing.T) {
	port, err := gateway.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	plain := fmt.Sprintf("https://localhost:%d", port)
	s := open(t, story.Options{Kind: authserverprocess.GoOIDC, Binary: raceDetecting(t), Edits: []gateway.Edit{
		gateway.Unlimited,
		gateway.At("auth.bank.example").Before(plain+" {", "\ttls server.pem server.key", "\trespond 401", "}"),
		accessLog(plain), accessLog("auth.bank.example"),
	}})
	p := learn(t, s)
	var caddyfiles [2]string // which differ, or nothing is loaded
	for i := range caddyfiles {
		caddyfiles[i] = edited(t, s.Caddyfile, gateway.GlobalOptions(fmt.Sprintf("grace_period %ds", 10+i)))
	}

	var ours, theirs count
	var registered atomic.Int64
	done := make(chan struct{})
	var workers sync.WaitGroup
	body := bytes.Repeat([]byte("a"), 2048)
	load := func(c *count, url string) {
		client := tpp.NewClient(tpp.ClientOptions{Roots: s.Directory.Roots()})
		defer client.Close()
		for {
			select {
			case <-done:
				return
			default:
			}
			r, err := client.Do(t.Context(), http.MethodPost, url, http.Header{"Content-Type": {"application/jose"}}, body)
			c.add(t, r, err, http.StatusUnauthorized)
		}
	}
	for range 4 {
		workers.Go(func() { load(&ours, s.Register) }) // 401: no certificate
		workers.Go(func() { load(&theirs, plain+"/nothing") })
	}
	workers.Go(func() { registerUntil(t, p, done, &registered) })

	for i := range reloads {
		if err := s.Gateway.Reload(t.Context(), caddyfiles[i%2]); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	workers.Wait()

	t.Logf("%d reloads: ours %d answered, %d without an answer; respond %d and %d; %d registrations",
		reloads, ours.answered.Load(), ours.unanswered.Load(), theirs.answered.Load(), theirs.unanswered.Load(), registered.Load())
	if registered.Load() == 0 || ours.answered.Load() < 100 || theirs.answered.Load() < 100 {
		t.Error("too little traffic to prove anything")
	}
	// Both are random, of at most one for each worker and reload (80). The difference
	// of two such figures is almost never three times the root of their sum.
	mine, respond := float64(ours.unanswered.Load()), float64(theirs.unanswered.Load())
	if mine > respond+3*math.Sqrt(mine+respond) {
		t.Errorf("%v requests without an answer, respond alone had %v", mine, respond)
	}
	err = story.Eventually(t.Context(), 20*time.Second, func() error { // a line comes later than its answer
		if served := served(t, s.Gateway.Log(), s.Register); served != ours.answered.Load() {
			return fmt.Errorf("the site served %d requests and %d were answered", served, ours.answered.Load())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	clients, err := s.AS.Clients(t.Context())
	if err != nil || int64(len(clients)) != registered.Load() {
		t.Errorf("%d registrations were answered, the authorization server has %d clients, %v", registered.Load(), len(clients), err)
	}
}

type count struct{ answered, unanswered atomic.Int64 }

func (c *count) add(t *testing.T, r *tpp.Response, err error, want int) {
	switch {
	case err != nil:
		c.unanswered.Add(1)
	case r.Status != want:
		t.Errorf("got %s", r)
	default:
		c.answered.Add(1)
	}
}

// registerUntil registers clients one after another. A request that got no answer
// is repeated as it is: had the gateway received it whole, its token would be used up.
func registerUntil(t *testing.T, p *story.Play, done <-chan struct{}, registered *atomic.Int64) {
	options := p.ClientOptions()
	options.NoKeepAlive = true
	client := p.Acme.Client(options)
	for {
		select {
		case <-done:
			return
		default:
		}
		token, body, err := p.Prepare(t.Context())
		for repeats := 0; err != nil && repeats < 5; repeats++ {
			token, body, err = p.Prepare(t.Context())
		}
		if err != nil {
			t.Error(err)
			return
		}
		r, err := client.Register(t.Context(), p.Register, token, body)
		for repeats := 0; err != nil && repeats < 5; repeats++ {
			t.Logf("repeated after %v", err)
			r, err = client.Register(t.Context(), p.Register, token, body)
		}
		if err != nil || r.Status != http.StatusCreated {
			t.Errorf("registration: %v, %v, want 201", r, err)
			return
		}
		registered.Add(1)
	}
}

// served counts the access log's lines of the requests without a certificate.
func served(t *testing.T, log, url string) (n int64) {
	t.Helper()
	for line := range strings.Lines(log) {
		var entry struct {
			Logger  string `json:"logger"`
			Status  int    `json:"status"`
			Request struct {
				URI  string `json:"uri"`
				Host string `json:"host"`
			} `json:"request"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || !strings.HasPrefix(entry.Logger, "http.log.access") {
			continue
		}
		if "https://"+entry.Request.Host+entry.Request.URI == url && entry.Status == http.StatusUnauthorized {
			n++
		}
	}
	return n
}

// TestReloadWithoutTheDirective takes the directive away while a registration
// waits for the AS: it is finished, answered and stored.
func TestReloadWithoutTheDirective(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		_, _, answer := holdsRegistration(t, p, false)
		if err := p.Reload(t.Context(), edited(t, p.Caddyfile, withoutDirective...)); err != nil {
			t.Fatal(err)
		}
		if err := p.AS.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := <-answer
		if r.err != nil || r.Status != http.StatusCreated {
			t.Fatalf("got %v, %v, want 201", r.Response, r.err)
		}
		if err := p.Reload(t.Context(), p.Caddyfile); err != nil {
			t.Fatal(err)
		}
		if err := reads(t.Context(), p, r.Text("client_id")); err != nil {
			t.Error(err)
		}
	})
}

// withoutDirective takes the directive, and its options, away.
var withoutDirective = []gateway.Edit{gateway.At(gateway.Global, "openbanking_dcr").Remove(), gateway.At("openbanking_dcr default/obuk").Remove()}

// reads holds that a client is registered: it gets a token and reads itself.
func reads(ctx context.Context, p *story.Play, clientID string) error {
	token, err := p.ClientToken(ctx, p.Acme, clientID)
	if err != nil {
		return err
	}
	r, err := p.Client(p.Acme).Read(ctx, p.Register, clientID, token)
	if err == nil && (r.Status != http.StatusOK || r.Text("client_id") != clientID) {
		err = fmt.Errorf("got %s", r)
	}
	return err
}
