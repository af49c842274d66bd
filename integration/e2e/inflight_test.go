package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// What is at work while something happens to the gateway.

// changedURI is the one redirect URI that updates ask for here.
const changedURI = "https://tpp.example/other"

// writes are a registration and an update that were not carried out yet.
type writes struct{ token, body, change string }

func prepared(t *testing.T, p *story.Play) (w writes) {
	t.Helper()
	var err error
	if w.token, w.body, err = p.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.change, err = p.Acme.Request(map[string]any{"redirect_uris": []string{changedURI}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// calls are the registration, and the update of a client with a token of its own.
func (w writes) calls(p *story.Play, id, own string) []story.Call {
	return []story.Call{
		{Method: "POST", URL: p.Register, As: p.Acme, Token: w.token, Body: w.body},
		{Method: "PUT", URL: p.Register + "/" + id, As: p.Acme, Token: own, Body: w.change},
	}
}

// areTaken holds that the very same requests succeed now, and returns the new client.
func (w writes) areTaken(t *testing.T, p *story.Play, id, own string) (made string) {
	t.Helper()
	calls := w.calls(p, id, own)
	for i, status := range []int{201, 200} {
		r, err := p.Make(t.Context(), calls[i])
		answered(t, r, err, status, "")
		if i == 0 {
			made = r.Text("client_id")
		}
		if err := reads(t.Context(), p, r.Text("client_id")); err != nil {
			t.Error(err)
		}
	}
	return made
}

// three are a registration, an update and a deletion of Acme's, all at work at once.
type three struct {
	// calls make them, and make them once more; answers are theirs, in this order.
	calls   []story.Call
	answers []<-chan outcome
	// changed is the client of the update, deleted that of the deletion.
	changed, deleted string
}

// holdsThree begins them and returns when the AS holds them all, before or after it
// has carried them out: until p.AS.ResetFaults, also those that the gateway repeats.
func holdsThree(t *testing.T, p *story.Play, after bool) *three {
	t.Helper()
	path, err := p.InternalRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := &three{}
	var own, ownDeleted string
	h.changed, own = registered(t, p)
	h.deleted, ownDeleted = registered(t, p)
	h.calls = append(prepared(t, p).calls(p, h.changed, own), story.Call{Method: "DELETE", URL: p.Register + "/" + h.deleted, As: p.Acme, Token: ownDeleted})
	for _, c := range h.calls {
		if err := p.AS.Fault(t.Context(), authserverprocess.Fault{Method: c.Method, PathContains: path, After: after, Hold: true, Times: -1}); err != nil {
			t.Fatal(err)
		}
		h.answers = append(h.answers, makes(t, p, c))
	}
	if err := p.AS.WaitHeld(t.Context(), len(h.calls)); err != nil {
		t.Fatal(err)
	}
	return h
}

// makes makes a call that somebody waits for.
func makes(t *testing.T, p *story.Play, c story.Call) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, err := p.Make(t.Context(), c)
		done <- outcome{r, err}
	}()
	return done
}

// areAnswered holds that all three were carried out, and returns the new client.
func (h *three) areAnswered(t *testing.T, p *story.Play) (made string) {
	t.Helper()
	for i, status := range []int{201, 200, 204} {
		a := <-h.answers[i]
		answered(t, a.Response, a.err, status, "")
		if i == 0 {
			made = a.Text("client_id")
		}
	}
	return made
}

// areKnown holds that they are on both sides as they were answered, with the clients
// that were made meanwhile.
func (h *three) areKnown(t *testing.T, p *story.Play, made ...string) {
	t.Helper()
	want := map[string]string{h.changed: changedURI}
	for _, id := range made {
		want[id] = ""
	}
	h.bothSidesKnow(t, p, want)
}

// bothSidesKnow holds that there are these clients, and the deleted one is not.
func (h *three) bothSidesKnow(t *testing.T, p *story.Play, want map[string]string) {
	t.Helper()
	if err := hasURIs(t, p, want); err != nil {
		t.Error(err)
	}
	for id := range want {
		if err := reads(t.Context(), p, id); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.ClientToken(t.Context(), p.Acme, h.deleted); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("the deleted client gets a token: %v", err)
	}
}

// areSettled holds, of three that were cut off, that in the end both sides are the
// same: the deletion done and the others undone. Then each can be made as it was.
// others are clients that are there beside.
func (h *three) areSettled(t *testing.T, p *story.Play, others ...string) {
	t.Helper()
	want := map[string]string{h.changed: "/callback"}
	for _, id := range others {
		want[id] = ""
	}
	if err := story.Eventually(t.Context(), time.Minute, func() error { return hasURIs(t, p, want) }); err != nil {
		t.Error(err)
	}
	if list := listed(t, p, "discrepancies"); len(list) > 0 {
		t.Errorf("got %v, want no discrepancies", list)
	}
	made := succeeds(t, p, h.calls[0], 201).Text("client_id")
	succeeds(t, p, h.calls[1], 200)
	want[h.changed], want[made] = changedURI, ""
	h.bothSidesKnow(t, p, want)
}

// succeeds makes a call until what an earlier one holds is free again.
func succeeds(t *testing.T, p *story.Play, c story.Call, status int) *outcome {
	t.Helper()
	var last outcome
	err := story.Eventually(t.Context(), time.Minute, func() error {
		last.Response, last.err = p.Make(t.Context(), c)
		if last.err == nil && last.Status != status {
			return fmt.Errorf("the same %s once more: %v", c.Method, last.Response)
		}
		return last.err
	})
	if err != nil {
		t.Fatal(err)
	}
	return &last
}

// hasURIs holds that the AS has these clients and no other, each with a part of its
// redirect URIs.
func hasURIs(t *testing.T, p *story.Play, want map[string]string) error {
	clients, err := p.AS.Clients(t.Context())
	if err != nil {
		return err
	}
	have := map[string]string{}
	for _, c := range clients {
		have[c["client_id"].(string)] = fmt.Sprint(c["redirect_uris"])
	}
	for id, uri := range want {
		if uris, ok := have[id]; !ok || !strings.Contains(uris, uri) {
			err = errors.Join(err, fmt.Errorf("client %s has %q at the authorization server, want %s", id, uris, uri))
		}
	}
	if len(have) != len(want) {
		err = errors.Join(err, fmt.Errorf("the authorization server has %d clients, want %d", len(have), len(want)))
	}
	return err
}

// half is a registration of which the gateway has the head and half of the body.
type half struct {
	call   story.Call
	rest   string
	body   *io.PipeWriter
	answer <-chan outcome
}

// halfSent returns when the gateway is at work on it: it has asked the AS about the token.
func halfSent(t *testing.T, p *story.Play) *half {
	t.Helper()
	h := &half{call: prepared(t, p).calls(p, "", "")[0]}
	if err := p.AS.ResetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader, writer := io.Pipe()
	t.Cleanup(func() { writer.Close() })
	request, err := http.NewRequestWithContext(t.Context(), h.call.Method, h.call.URL, reader)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len(h.call.Body))
	request.Header = http.Header{"Content-Type": {"application/jose"}, "Authorization": {"Bearer " + h.call.Token}}
	done := make(chan outcome, 1)
	h.answer, h.body, h.rest = done, writer, h.call.Body[len(h.call.Body)/2:]
	go func() {
		r, err := p.Client(p.Acme).Send(request)
		done <- outcome{r, err}
	}()
	if _, err := io.WriteString(writer, strings.TrimSuffix(h.call.Body, h.rest)); err != nil {
		t.Fatal(err)
	}
	introspection := strings.TrimPrefix(p.Endpoint("introspection_endpoint"), siteOf(p))
	err = story.Eventually(t.Context(), 20*time.Second, func() error {
		asked, err := p.AS.RequestsTo(t.Context(), http.MethodPost, introspection)
		if err == nil && (len(asked) == 0 || asked[0].Status == 0) {
			err = errNotYet
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// isAnswered sends the rest and holds that the client is registered.
func (h *half) isAnswered(t *testing.T) (made string) {
	t.Helper()
	if _, err := io.WriteString(h.body, h.rest); err != nil {
		t.Fatal(err)
	}
	if err := h.body.Close(); err != nil {
		t.Fatal(err)
	}
	a := <-h.answer
	return answered(t, a.Response, a.err, 201, "").Text("client_id")
}

// isCut holds that it gets no answer. A client looks for one only when it has no more
// to send.
func (h *half) isCut(t *testing.T) {
	t.Helper()
	h.body.CloseWithError(io.ErrUnexpectedEOF)
	if a := <-h.answer; a.err == nil {
		t.Errorf("half a request was answered: %v", a.Response)
	}
}
