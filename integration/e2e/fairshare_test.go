package e2e_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestOneTPPDoesNotStopTheOthers: the AS hangs, or is not there, for the registrations of
// one TPP alone, which sends as many as it can, with two certificates. Of the others' at
// least 99 of 100 are made.
func TestOneTPPDoesNotStopTheOthers(t *testing.T) {
	const hostile, others, share = 64, 100, 16
	for name, fault := range map[string]authserverprocess.Fault{
		"hangs": {Hold: true}, "is not there": {Status: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			o := story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{gateway.SharesOnly}}
			if fault.Hold {
				o.Binary = raceDetecting(t) // without a pause between two requests it takes half a minute of CPU
			}
			p := learn(t, open(t, o))
			path, err := p.InternalRegistration(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fault.PathContains, fault.Method, fault.Times, fault.BodyContains = path, http.MethodPost, -1, p.Acme.SoftwareID
			if err := p.AS.Fault(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
			stop := flood(t, p, hostile)
			defer stop()
			if fault.Hold {
				if err := p.AS.WaitHeld(t.Context(), share); err != nil {
					t.Fatal(err)
				}
			}
			made := 0
			client := p.Client(p.Other)
			for range others {
				token, _, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				body, err := p.Other.Request(nil)
				if err != nil {
					t.Fatal(err)
				}
				r, err := client.Register(t.Context(), p.Register, token, body)
				switch {
				case err != nil:
					t.Error(err)
				case r.Status == http.StatusCreated:
					made++
				default:
					t.Log(r)
				}
			}
			if made < 99 {
				t.Errorf("%d of the others' %d registrations were made", made, others)
			}
			if log := p.Gateway.Log(); strings.Contains(log, "circuit breaker of the authorization server") {
				t.Error("one TPP has opened the circuit breaker")
			}
			if err := p.AS.ResetFaults(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// flood posts registrations of Acme's on n connections with two certificates, each again
// as soon as it is refused, until stop, and returns when some have been sent.
func flood(t *testing.T, p *story.Play, n int) (stop func()) {
	t.Helper()
	second, err := p.Acme.IssueTransport(directory.TransportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var sent atomic.Int64
	var group sync.WaitGroup
	for i := range n {
		token, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		options := p.ClientOptions()
		options.Certificate = &p.Acme.Transport
		if i%2 == 1 {
			options.Certificate = &second
		}
		group.Go(func() {
			client := tpp.NewClient(options)
			defer client.Close()
			for ctx.Err() == nil {
				sent.Add(1)
				r, err := client.Register(ctx, p.Register, token, body)
				if err == nil && r.Status != http.StatusServiceUnavailable {
					return // its jti is held by an attempt whose answer was lost
				}
			}
		})
	}
	err = story.Eventually(t.Context(), time.Minute, func() error {
		if sent.Load() < int64(n) {
			return context.DeadlineExceeded
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() { cancel(); group.Wait() }
}

// TestManyCertificatesAreOneTPP: a software has one rate, however many certificates it
// connects with.
func TestManyCertificatesAreOneTPP(t *testing.T) {
	t.Parallel()
	few := gateway.Workspace("rate_limit 5 1h")
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{few}}))
	made, refused := 0, 0
	for range 4 {
		certificate, err := p.Acme.IssueTransport(directory.TransportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		options := p.ClientOptions()
		options.Certificate = &certificate
		client := tpp.NewClient(options)
		for range 2 {
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r, err := client.Register(t.Context(), p.Register, token, body)
			switch {
			case err != nil:
				t.Error(err)
			case r.Status == http.StatusCreated:
				made++
			case r.Status == http.StatusTooManyRequests && r.Header.Get("Retry-After") != "" && strings.HasPrefix(r.Text("error_description"), "too many requests of this software;"):
				refused++
			default:
				t.Errorf("got %v, want 201, or 429 with Retry-After", r)
			}
		}
		client.Close()
	}
	if made != 5 || refused != 3 {
		t.Errorf("%d registrations are made and %d refused, want 5 and 3", made, refused)
	}
	token, _, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Other.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.Client(p.Other).Register(t.Context(), p.Register, token, body); err != nil || r.Status != http.StatusCreated {
		t.Errorf("another organisation: %v, %v, want 201", r, err)
	}
}
