package e2e_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// atOnce posts registrations at the same time and returns the answers. Each goes on
// a connection that is there before, so that they arrive together.
func atOnce(t *testing.T, p *story.Play, tokens, bodies []string) []*tpp.Response {
	t.Helper()
	answers := make([]*tpp.Response, len(tokens))
	var ready, group sync.WaitGroup
	begin := make(chan struct{})
	ready.Add(len(tokens))
	for i := range tokens {
		group.Go(func() {
			client := p.Acme.Client(p.ClientOptions())
			defer client.Close()
			_, err := client.Discover(t.Context(), p.Issuer)
			ready.Done()
			<-begin
			if err == nil {
				answers[i], err = client.Register(t.Context(), p.Register, tokens[i], bodies[i])
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	ready.Wait()
	close(begin)
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return answers
}

// tally counts answers by status and error code, and the different clients of those with 201.
func tally(answers []*tpp.Response) (count map[string]int, ids map[string]bool) {
	count, ids = map[string]int{}, map[string]bool{}
	for _, r := range answers {
		count[strings.TrimSpace(fmt.Sprint(r.Status, " ", r.Text("error")))]++
		if r.Status == 201 {
			ids[r.Text("client_id")] = true
		}
	}
	return count, ids
}

func repeat(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

// TestOneTokenRegistersOneClient: of many registrations with one token, exactly one is made. The others are
// told to come back while that is at work (503), and that the token is used up when it is done.
func TestOneTokenRegistersOneClient(t *testing.T) {
	once(t, story.Options{Binary: raceDetecting(t), Edits: []gateway.Edit{gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bodies := make([]string, crowd)
		for i := range bodies {
			if bodies[i], err = p.Acme.Request(nil); err != nil {
				t.Fatal(err)
			}
		}
		count, _ := tally(atOnce(t, p, repeat(token, crowd), bodies))
		if count["201"] != 1 || count["401 invalid_token"]+count["503 temporarily_unavailable"] != crowd-1 {
			t.Errorf("got %v, want 201 once, and 401 or 503 %d times", count, crowd-1)
		}
		if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 {
			t.Errorf("%d clients at the authorization server, %v, want one", len(clients), err)
		}
	})
}

// TestSpellingsOfOneToken: a JWT has several texts that an AS takes for one token
// (the last character of a signature has bits that nobody reads).
func TestSpellingsOfOneToken(t *testing.T) {
	each(t, story.Options{AccessTokens: "jwt"}, func(t *testing.T, p *story.Play) {
		token, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tokens, bodies := []string{token}, []string{body}
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		dot := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range alphabet {
			spelt := token[:len(token)-1] + string(c)
			if decoded, err := base64.RawURLEncoding.DecodeString(spelt[dot+1:]); err != nil || string(decoded) != string(signature) || spelt == token {
				continue
			}
			body, err := p.Acme.Request(nil)
			if err != nil {
				t.Fatal(err)
			}
			tokens, bodies = append(tokens, spelt), append(bodies, body)
		}
		if len(tokens) < 2 {
			t.Fatal("no other spelling")
		}
		if count, _ := tally(atOnce(t, p, tokens, bodies)); count["201"] != 1 || count["401 invalid_token"]+count["503 temporarily_unavailable"] != len(tokens)-1 {
			t.Errorf("got %v, want 201 once, and 401 or 503 %d times", count, len(tokens)-1)
		}
	})
}

// TestRepeatedRegistrations: what many registrations at once give that are the
// same, with one token and jti, and with new ones; and one more afterwards.
func TestRepeatedRegistrations(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]struct {
		same, fresh map[string]int
		clients     int // in the end
		again       string
	}{
		"allow":  {map[string]int{"201": 1, "401": crowd - 1}, map[string]int{"201": crowd}, crowd + 1, "401 invalid_token"},
		"return": {map[string]int{"201": crowd}, map[string]int{"201": crowd}, 1, "201"},
		"update": {map[string]int{"201": crowd}, map[string]int{"201": crowd}, 1, "201"},
		"reject": {map[string]int{"201": 1, "401": crowd - 1}, map[string]int{"400": crowd}, 1, "401 invalid_token"},
	} {
		t.Run(mode, func(t *testing.T) {
			edits := []gateway.Edit{gateway.Unlimited, gateway.Workspace("reregister " + mode)}
			once(t, story.Options{Binary: raceDetecting(t), Edits: edits}, func(t *testing.T, p *story.Play) {
				token, body, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				held := func(what string, answers []*tpp.Response, want map[string]int) {
					t.Helper()
					got := map[string]int{}
					for _, r := range answers {
						got[fmt.Sprint(r.Status)]++
					}
					// Which of the two that were used up is told is a matter of order, and while the
					// first is at work they are reserved (503).
					for _, status := range []string{"400", "503"} {
						if want["401"] > 0 {
							got["401"] += got[status]
							delete(got, status)
						}
					}
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("%s: %v, want %v", what, got, want)
					}
				}
				held("one token and jti", atOnce(t, p, repeat(token, crowd), repeat(body, crowd)), want.same)
				tokens, bodies := make([]string, crowd), make([]string, crowd)
				for i := range tokens {
					if tokens[i], bodies[i], err = p.Prepare(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				held("new ones", atOnce(t, p, tokens, bodies), want.fresh)
				if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != want.clients {
					t.Errorf("%d clients at the authorization server, %v", len(clients), err)
				}
				count, _ := tally(atOnce(t, p, []string{token}, []string{body}))
				if count[want.again] != 1 && !(want.again != "201" && count["400 invalid_client_metadata"] == 1) {
					t.Errorf("once more: got %v, want %s", count, want.again)
				}
			})
		})
	}
}

// TestUpdatedByRegistration: in update mode a POST with other metadata changes the client in place.
func TestUpdatedByRegistration(t *testing.T) {
	edits := []gateway.Edit{gateway.Unlimited, gateway.Workspace("reregister update 1h")}
	once(t, story.Options{Edits: edits}, func(t *testing.T, p *story.Play) {
		first := registers(t, p, p.Client(p.Acme), nil)
		answered(t, first, nil, 201, "")
		second := registers(t, p, p.Client(p.Acme), map[string]any{"redirect_uris": []string{"https://tpp.example/other"}})
		answered(t, second, nil, 201, "")
		id := first.Text("client_id")
		if second.Text("client_id") != id || fmt.Sprint(second.JSON["redirect_uris"]) != "[https://tpp.example/other]" || second.JSON["client_id_issued_at"] != first.JSON["client_id_issued_at"] {
			t.Errorf("got %v, want client_id %s with the other redirect URI and the same time of issue", second, id)
		}
		if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 || fmt.Sprint(clients[0]["redirect_uris"]) != "[https://tpp.example/other]" {
			t.Errorf("got %v, %v, want one client with the other redirect URI", clients, err)
		}
		if err := reads(t.Context(), p, id); err != nil {
			t.Error(err)
		}
		// Another TPP's registration is its own.
		other, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Other.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Other).Register(t.Context(), p.Register, other, body)
		if answered(t, r, err, 201, ""); r.Text("client_id") == id {
			t.Error("two TPPs share a client")
		}
	})
}
