package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestUpAndDown registers a thousand clients at once while the AS goes up and down under
// them: now it is gone before it has seen a request, now after it has carried it out
// and before it has answered. Every client that a TPP was told of works, and the AS
// has no other.
func TestUpAndDown(t *testing.T) {
	const total = 1000
	t.Parallel()
	binary, err := gateway.BuildCrashing() // whose leases are a tenth
	if err != nil {
		t.Fatal(err)
	}
	each(t, story.Options{Binary: binary, Replace: []gateway.Replacement{gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		// What is held for a lease after a lost answer is not waited for.
		tokens, bodies := make(chan string, 2*total), make(chan string, 2*total)
		for range cap(tokens) {
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tokens <- token
			bodies <- body
		}
		path, err := p.InternalRegistration(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		made := make(chan struct{}, total)
		down := make(chan struct{})
		var fall sync.WaitGroup
		fall.Go(func() { upAndDown(t, p.AS, path, down, made) })
		<-down
		var mu sync.Mutex
		told := map[string]bool{}
		statuses := map[string]int{}
		var group sync.WaitGroup
		for range total {
			group.Go(func() {
				client := p.Acme.Client(p.ClientOptions())
				defer client.Close()
				id, err := insist(t, p, client, tokens, bodies, func(r *tpp.Response) {
					mu.Lock()
					defer mu.Unlock()
					statuses[fmt.Sprint(r.Status, " ", r.Text("error"))]++
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if told[id] {
					t.Errorf("two registrations share client_id %s", id)
				}
				told[id] = true
				made <- struct{}{}
			})
		}
		group.Wait()
		close(made)
		fall.Wait()
		if err := p.AS.ResetFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d clients, answers %v", len(told), statuses)
		if len(told) != total || statuses["503 temporarily_unavailable"] == 0 {
			t.Errorf("%d clients, answers %v", len(told), statuses)
		}
		// What was lost is undone when its lease ends.
		err = story.Eventually(t.Context(), 3*time.Minute, func() error {
			clients, err := p.AS.Clients(t.Context())
			if err != nil {
				return err
			}
			have := map[string]bool{}
			for _, c := range clients {
				have[c["client_id"].(string)] = true
			}
			if !maps.Equal(have, told) {
				return fmt.Errorf("the authorization server has %d clients, %d were told of", len(have), len(told))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if list := listed(t, p, "divergences"); len(list) > 0 {
			t.Errorf("%v", list)
		}
		ids := slices.Sorted(maps.Keys(told))
		for i := 0; i < len(ids); i += 50 {
			if err := reads(t.Context(), p, ids[i]); err != nil {
				t.Error(err)
			}
		}
	})
}

// insist posts until a client is made, with the same token and request while that
// can be, and with new ones when they are held.
func insist(t *testing.T, p *story.Play, client *tpp.Client, tokens, bodies <-chan string, tell func(*tpp.Response)) (string, error) {
	token, body := <-tokens, <-bodies
	for range 400 {
		r, err := client.Register(t.Context(), p.Register, token, body)
		if err != nil {
			return "", err
		}
		tell(r)
		switch {
		case r.Status == 201:
			return r.Text("client_id"), nil
		case r.Status == 503 && r.Header.Get("Retry-After") == "6": // a lease
			select {
			case token = <-tokens:
				body = <-bodies
			default:
				return "", errors.New("too many answers were lost for this test")
			}
		case r.Status != 503:
			return "", fmt.Errorf("got %v", r)
		default:
			select {
			case <-t.Context().Done():
				return "", t.Context().Err()
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
	return "", errors.New("the authorization server never came back")
}

// upAndDown lets the AS fail in one way after the other, each time until it has been
// alive for a while, which made tells: one value for each client that was made. down is
// closed when it fails for the first time: a busy machine must not be done before.
func upAndDown(t *testing.T, as *authserverprocess.Process, path string, down chan<- struct{}, made <-chan struct{}) {
	faults := []authserverprocess.Fault{
		{Times: 6, Drop: true}, // more than the gateway needs to leave it alone for a while
		{Times: 3, After: true, Drop: true},
		{Times: 6, Status: 503},
		{Times: 3, After: true, Status: 500},
		{Times: 3, After: true, Status: 201, Body: "{"},
	}
	for i := 0; ; i++ {
		fault := faults[i%len(faults)]
		fault.PathContains = path
		err := as.Fault(t.Context(), fault)
		if i == 0 {
			close(down)
		}
		if err != nil {
			t.Error(err)
			return
		}
		for range 150 {
			if _, more := <-made; !more {
				return
			}
		}
	}
}
