package e2e_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestBodyThatNeverEnds: a body that stops arriving is answered from the error
// table, after the gateway's own deadline (15 s) and not at the client's pleasure;
// neither token nor jti is used up by it.
func TestBodyThatNeverEnds(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		token, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		form := make(chan *tpp.Response, 1)
		go func() { form <- slowForm(t, p) }()
		reader, writer := io.Pipe()
		defer writer.Close()
		go func() { _, _ = io.WriteString(writer, body[:len(body)/2]) }() // the rest never comes
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Register, reader)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(body))
		r.Header = http.Header{"Content-Type": {"application/jose"}, "Authorization": {"Bearer " + token}}
		answer, err := p.Client(p.Acme).Send(r) // waits 30 s
		if err == nil && answer.Status != http.StatusBadRequest {
			t.Errorf("answered %s", answer)
		}
		if err == nil {
			err = refusedProperly(answer)
		}
		if err != nil {
			t.Error(err)
		}
		if r := <-form; r == nil || r.Status != http.StatusBadRequest || r.Text("error") != "invalid_request" {
			t.Errorf("the token endpoint answered %v, want 400 invalid_request", r)
		}
		again, err := p.Make(t.Context(), story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: token, Body: body})
		if err != nil || again.Status != http.StatusCreated {
			t.Errorf("the whole body afterwards: %v, %v, want 201", again, err)
		}
	})
}

// slowForm sends half a form to the token endpoint.
func slowForm(t *testing.T, p *story.Play) *tpp.Response {
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = io.WriteString(writer, "grant_type=client_credentials&client_") }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Endpoint("token_endpoint"), reader)
	if err != nil {
		t.Error(err)
		return nil
	}
	r.ContentLength = 100
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	answer, err := p.Client(p.Other).Send(r)
	if err != nil {
		t.Error(err)
	}
	return answer
}
