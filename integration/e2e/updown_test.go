package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestUpAndDown registers many clients at once while the AS goes up and down under
// them: now it is gone before it has seen a request, now after it has carried it out
// and before it has answered. Every client that a TPP was told of works, and the AS
// has no other.
//
// It runs with the product's own times: with a tenth of them a busy machine loses every
// answer. And it runs alone: the crowd leaves no other test its time.
func TestUpAndDown(t *testing.T) {
	o := story.Options{Edits: []gateway.Edit{gateway.Unlimited}}
	at(t, []authserverprocess.Kind{authserverprocess.OIDCProvider}, o, survivesUpAndDown)
	o.Binary = raceDetecting(t)
	at(t, []authserverprocess.Kind{authserverprocess.GoOIDC}, o, survivesUpAndDown)
}

func survivesUpAndDown(t *testing.T, p *story.Play) {
	total := clientsAtOnce(t)
	// They are not to wait for keys, which the same processor serves.
	warm, err := p.RegisterAnother(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var preparing sync.Mutex
	prepare := func() (a attempt, err error) {
		preparing.Lock()
		defer preparing.Unlock()
		a.token, a.body, err = p.Prepare(t.Context())
		return a, err
	}
	first := make([]attempt, total)
	for i := range first {
		if first[i], err = prepare(); err != nil {
			t.Fatal(err)
		}
	}
	path, err := p.InternalRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	made := make(chan struct{}, total)
	down := make(chan struct{})
	var fall sync.WaitGroup
	fall.Go(func() { upAndDown(t, p.AS, path, total*3/20, down, made) })
	select {
	case <-down:
	case <-time.After(2 * time.Minute):
		t.Fatal("waited 2 minutes in vain for the authorization server to go down")
	}
	told, statuses := registerAll(t, p, first, prepare, made)
	close(made)
	fall.Wait()
	if err := p.AS.ResetFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	told[warm] = true
	t.Logf("%d clients, answers %v", len(told), statuses)
	if len(told) != 1+total || statuses["503 temporarily_unavailable"] == 0 {
		t.Errorf("got %d clients and the answers %v, want %d clients and some 503; the authorization server has answered %v", len(told), statuses, 1+total, answersOf(t, p.AS, path))
	}
	hasOnly(t, p, told)
}

// answersOf counts what the AS has answered at a path, 0 where it has dropped the connection.
func answersOf(t *testing.T, as *authserverprocess.Process, path string) map[int]int {
	t.Helper()
	requests, err := as.RequestsTo(t.Context(), "POST", path)
	if err != nil {
		t.Error(err)
	}
	counts := map[int]int{}
	for _, r := range requests {
		counts[r.Status]++
	}
	return counts
}

// registerAll registers a client with each attempt, all at once, and returns their
// client_ids and how many answers there were of each kind. made is told of each.
func registerAll(t *testing.T, p *story.Play, first []attempt, prepare func() (attempt, error), made chan<- struct{}) (told map[string]bool, statuses map[string]int) {
	t.Helper()
	told, statuses = map[string]bool{}, map[string]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, a := range first {
		group.Go(func() {
			options := p.ClientOptions()
			options.Timeout = 5 * time.Minute // so many handshakes take their time
			client := p.Acme.Client(options)
			defer client.Close()
			id, err := insist(t.Context(), p, client, a, prepare, func(r *tpp.Response) {
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
	return told, statuses
}

// hasOnly waits until the AS has these clients and no others: what was lost is undone when
// its lease ends. Then it holds that operators have nothing to do, and that clients work.
func hasOnly(t *testing.T, p *story.Play, told map[string]bool) {
	t.Helper()
	err := story.Eventually(t.Context(), 5*time.Minute, func() error {
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
	if list := listed(t, p, "discrepancies"); len(list) > 0 {
		t.Errorf("got the discrepancies %v, want none", list)
	}
	ids := slices.Sorted(maps.Keys(told))
	for i := 0; i < len(ids); i += 50 {
		if err := reads(t.Context(), p, ids[i]); err != nil {
			t.Error(err)
		}
	}
}

// attempt is what a registration needs and uses up.
type attempt struct{ token, body string }

// insist posts until a client is made, each time after the pause that it is asked for:
// with the same token and request while that can be, and with new ones at once when
// they are held for a lease.
func insist(ctx context.Context, p *story.Play, client *tpp.Client, a attempt, prepare func() (attempt, error), tell func(*tpp.Response)) (string, error) {
	const lease = 60
	for range 60 {
		r, err := client.Register(ctx, p.Register, a.token, a.body)
		if err != nil {
			return "", err
		}
		tell(r)
		if r.Status == 201 {
			return r.Text("client_id"), nil
		}
		if r.Status == 400 && strings.HasSuffix(r.Text("error_description"), "did not arrive whole in time; send it again") {
			continue // the crowd has kept this TPP from sending for 15 seconds
		}
		pause, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if r.Status != 503 || err != nil {
			return "", fmt.Errorf("got %v, want 201, or 503 with Retry-After", r)
		}
		if pause == lease {
			if a, err = prepare(); err != nil {
				return "", err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Duration(pause) * time.Second):
		}
		client.Close() // the gateway may close a connection that was idle for so long as this is sent
	}
	return "", errors.New("the authorization server never came back")
}

// upAndDown lets the AS fail in one way after the other, each time until it has been
// alive for so many clients, which made tells: one value for each that was made. down is
// closed when it fails for the first time: a busy machine must not be done before.
func upAndDown(t *testing.T, as *authserverprocess.Process, path string, alive int, down chan<- struct{}, made <-chan struct{}) {
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
		for range alive {
			if _, more := <-made; !more {
				return
			}
		}
	}
}
