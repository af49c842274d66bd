package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// refusesWrites holds that what must be written is 503, says nothing of the machine,
// and has changed nothing; and that reading and the guard go on.
func refusesWrites(t *testing.T, p *story.Play, id, own string, w writes) {
	t.Helper()
	clients, err := p.AS.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	calls := w.calls(p, id, own)
	calls = append(calls, story.Call{Method: "DELETE", URL: p.Register + "/" + id, As: p.Acme, Token: own})
	for _, c := range calls {
		r, err := p.Make(t.Context(), c)
		unavailable(t, c.Method, r, err)
		if r != nil && (r.Text("error_description") != "the registration service cannot answer now; try again later" || r.Header.Get("Retry-After") != "5") {
			t.Errorf("%s: got %v, want an answer to try again after 5 s", c.Method, r)
		}
	}
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
	r, err := p.Client(p.Other).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
	if err != nil || r.Status != 401 || r.Text("error") != "invalid_client" {
		t.Errorf("the guard: %v, %v, want 401 invalid_client", r, err)
	}
	if after, err := p.AS.Clients(t.Context()); err != nil || fmt.Sprint(after) != fmt.Sprint(clients) {
		t.Errorf("the authorization server had\n%v, has\n%v, %v", clients, after, err)
	}
}

// TestDiskFull: what cannot be made durable is not done, and says so; what needs no
// write goes on. When there is room again, everything is as before: at once, after a
// kill and after a restart.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	onceOnDisk(t, func(t *testing.T, p *story.Play, d *disk) {
		id, own := registered(t, p)
		w := prepared(t, p)
		d.leave(t, littleRoom)
		refusesWrites(t, p, id, own, w)
		says(t, p.Gateway, "too little room on the disk: "+d.dir+" has ", "128 MB are needed")
		d.empty(t)
		first := w.areTaken(t, p, id, own)

		w = prepared(t, p)
		d.leave(t, littleRoom)
		restart(t, p, p.Gateway.Kill)
		refusesWrites(t, p, id, own, w)
		d.leave(t, 8*mb)
		err := errors.Join(p.Gateway.Kill(), p.Gateway.Restart(t.Context()))
		if err == nil || !strings.Contains(err.Error(), "too little room on the disk: "+d.dir+" has 8 MB left, 32 MB are needed") {
			t.Errorf("started, or without saying what is missing: %v", err)
		}
		d.empty(t)
		restart(t, p, func() error { return nil })
		second := w.areTaken(t, p, id, own)

		w = prepared(t, p)
		d.leaveNoFiles(t)
		refusesWrites(t, p, id, own, w)
		says(t, p.Gateway, "has no room, or no inodes, left")
		d.empty(t)
		restart(t, p, p.Gateway.Stop)
		third := w.areTaken(t, p, id, own)
		for _, id := range []string{id, first, second, third} {
			if err := reads(t.Context(), p, id); err != nil {
				t.Error(err)
			}
			own, err := p.ClientToken(t.Context(), p.Acme, id)
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Client(p.Acme).Delete(t.Context(), p.Register, id, own)
			answered(t, r, err, 204, "")
		}
		if err := noClients(t, p); err != nil {
			t.Error(err)
		}
	})
}

// TestDiskFullMeanwhile: the disk runs full while the AS registers a client, changes
// another and deletes a third. In the end both sides are the same, and nobody's
// request is used up.
func TestDiskFullMeanwhile(t *testing.T) {
	t.Parallel()
	onceOnDisk(t, func(t *testing.T, p *story.Play, d *disk) {
		h := holdsThree(t, p, true)
		d.leave(t, littleRoom)
		if err := p.AS.ResetFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, answer := range h.answers[:2] {
			a := <-answer
			unavailable(t, h.calls[i].Method, a.Response, a.err)
			if a.Response != nil && a.Header.Get("Retry-After") != "6" { // the lease of these gateways
				t.Errorf("%s: got %v, want Retry-After 6", h.calls[i].Method, a.Response)
			}
		}
		a := <-h.answers[2]
		answered(t, a.Response, a.err, 204, "")
		if err := reads(t.Context(), p, h.changed); err != nil {
			t.Error(err)
		}
		d.empty(t)
		h.areSettled(t, p)
	})
}

// TestDiskFullMeanwhileWithoutAChosenID: where the AS chooses the client_ids the answer
// at hand is the only way to the client, and it is deleted with it at once.
func TestDiskFullMeanwhileWithoutAChosenID(t *testing.T) {
	t.Parallel()
	if ranInNamespace(t) {
		return
	}
	p, d := onDisk(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{chosenByTheAS}})
	_, _, answer := holdsRegistration(t, p, true)
	d.leave(t, littleRoom)
	if err := p.AS.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := <-answer
	unavailable(t, "register", a.Response, a.err)
	if err := noClients(t, p); err != nil {
		t.Errorf("after the answer: %v", err)
	}
	d.empty(t)
	if asked, err := p.AS.RequestsTo(t.Context(), http.MethodDelete, ""); err != nil || len(asked) != 1 {
		t.Errorf("got %v, %v, want one deletion", asked, err)
	}
}

// TestEndOnAFullDisk: not a byte is left. The gateway ends in order, and so does a
// configuration whose server goes on without the store.
func TestEndOnAFullDisk(t *testing.T) {
	t.Parallel()
	if ranInNamespace(t) {
		return
	}
	p, d := onDisk(t, story.Options{Kind: authserverprocess.GoOIDC})
	id, _ := registered(t, p)
	without := edited(t, p.Caddyfile, withoutDirective...)
	d.leave(t, 0)
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
	if err := p.Reload(t.Context(), without); err != nil {
		t.Fatal(err)
	}
	// The store's keeper may be the last request of before, or the configuration itself.
	says(t, p.Gateway, "the directory stays in use until it can be closed")
	if err := p.Reload(t.Context(), p.Caddyfile); err == nil || !strings.Contains(err.Error(), "too little room") {
		t.Errorf("a reload with the directive: %v", err)
	}
	d.empty(t)
	err := story.Eventually(t.Context(), 20*time.Second, func() error { return p.Reload(t.Context(), p.Caddyfile) })
	if err != nil {
		t.Fatal(err)
	}
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
	d.leave(t, 0)
	if err := p.Gateway.Stop(); err != nil {
		t.Error(err)
	}
	if !endedInOrder(p) {
		t.Error("the gateway did not end in order")
	}
	d.empty(t)
	restart(t, p, func() error { return nil })
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
}
