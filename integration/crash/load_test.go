package crash_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestRandomKills kills the gateway at random while TPPs register, change, read and
// delete clients, for as long as CRASH_TIME says (1m). A TPP that gets no answer sends
// the same once more. In the end both sides have what the TPPs were told, and no more.
func TestRandomKills(t *testing.T) {
	duration, err := time.ParseDuration(cmp.Or(os.Getenv("CRASH_TIME"), "1m"))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachVariant(t, func(t *testing.T, b *bank) {
		ctx, cancel := context.WithTimeout(t.Context(), duration)
		defer cancel()
		l := &log{told: map[string]*told{}}
		var workers sync.WaitGroup
		for i := range 4 {
			workers.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(i)))
				for ctx.Err() == nil {
					if err := b.life(t.Context(), random, l); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		random := rand.New(rand.NewPCG(seed, 99))
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(100+random.IntN(1400)) * time.Millisecond):
			}
			if err := errors.Join(b.Gateway.Kill(), b.Gateway.Restart(t.Context())); err != nil {
				t.Fatal(err)
			}
			l.kills++
		}
		workers.Wait()
		b.holds(t, l)
	})
}

// told is what a TPP knows of a client that it was told of.
type told struct {
	attempt
	// may are the redirect URIs that it may have: two after an update without an answer.
	may     []string
	deleted bool
	// has is what the gateway said in the end.
	has string
}

// log is what the TPPs of a run were told.
type log struct {
	kills int

	mu   sync.Mutex
	told map[string]*told
	// twice are client_ids that two registrations were told.
	twice int
	// repeated is how often something was sent again.
	repeated int
	detached int
}

// life is that of one client: registered, perhaps changed, perhaps deleted. The steps
// go on while the gateway is killed under them.
func (b *bank) life(ctx context.Context, random *rand.Rand, l *log) error {
	a, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	client := b.Acme.Client(b.ClientOptions())
	defer client.Close()
	r, err := l.insist(ctx, func() (*tpp.Response, error) { return client.Register(ctx, b.Register, a.token, a.body) })
	if err != nil || r.Status != http.StatusCreated {
		return fmt.Errorf("registration: %v, %w, want 201", r, err)
	}
	id := r.Text("client_id")
	c := &told{attempt: a, may: []string{a.uri}}
	l.mu.Lock()
	if l.told[id] != nil {
		l.twice++
	}
	l.told[id] = c
	l.mu.Unlock()
	token, err := b.token(ctx, id)
	if err != nil {
		return err
	}
	if random.IntN(2) == 0 {
		if err := b.change(ctx, client, l, c, id, token); err != nil {
			return err
		}
	}
	if random.IntN(3) > 0 {
		return nil
	}
	r, err = l.insist(ctx, func() (*tpp.Response, error) { return client.Delete(ctx, b.Register, id, token) })
	// 401: an earlier attempt has deleted it, and the answer was lost.
	if err != nil || r.Status != http.StatusNoContent && r.Status != http.StatusUnauthorized {
		return fmt.Errorf("deletion: %v, %w", r, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.deleted = true
	return nil
}

// change updates a client until it is told of the outcome.
func (b *bank) change(ctx context.Context, client *tpp.Client, l *log, c *told, id, token string) error {
	body, err := b.request(c.uri, c.uri+"/updated")
	if err != nil {
		return err
	}
	l.mu.Lock()
	c.may = append(c.may, c.uri+"/updated")
	l.mu.Unlock()
	r, err := l.insist(ctx, func() (*tpp.Response, error) { return client.Update(ctx, b.Register, id, token, body) })
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		return err
	case r.Status == http.StatusOK:
		c.may = c.may[1:]
	case r.Status == http.StatusBadRequest && !b.chooses && r.Text("error") == "invalid_client_metadata":
		l.detached++ // or, as below, done before
	case r.Status == http.StatusBadRequest && r.Text("error") == "invalid_client_metadata":
		// An earlier attempt was carried out, and its jti is used up.
	default:
		return fmt.Errorf("update: %v", r)
	}
	return nil
}

// insist is as the function, and counts.
func (l *log) insist(ctx context.Context, call func() (*tpp.Response, error)) (*tpp.Response, error) {
	attempts := 0
	r, err := insist(ctx, func() (*tpp.Response, error) { attempts++; return call() })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.repeated += attempts - 1
	return r, err
}

// holds is the judgement over a run.
func (b *bank) holds(t *testing.T, l *log) {
	t.Helper()
	alive := map[string]bool{}
	acknowledged := len(l.told)
	for id, c := range l.told {
		if !c.deleted {
			alive[id] = true
		}
	}
	mayBeLost := 0
	if !b.chooses {
		mayBeLost = 4 * l.kills // each kill may cut off a request of each worker
	}
	orphans := b.onlyThese(t, alive, mayBeLost)
	lost := b.readAll(t, l)
	b.bothSidesAgree(t, alive, l)
	sample := 0
	for _, c := range l.told {
		if sample++; sample > 20 {
			break
		}
		b.usedUp(t, c.attempt)
	}
	if l.kills < 3 || acknowledged == 0 || l.twice > 0 {
		t.Errorf("%d kills, %d acknowledged, %d twice: too little to prove anything, or too much", l.kills, acknowledged, l.twice)
	}
	b.nothingPending(t)
	t.Logf("%s: %d kills, %d acknowledged, %d sent again, %d lost, %d orphans, %d tokens and jti used twice, %d client_ids given twice, %d updates without a clear end",
		b.variant, l.kills, acknowledged, l.repeated, lost, orphans, b.usedTwice(t), l.twice, l.detached)
}

// readAll reads every client that a TPP was told of, through the gateway, and tells
// how many are not as they were told.
func (b *bank) readAll(t *testing.T, l *log) (lost int) {
	t.Helper()
	ids := make(chan string)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for id := range ids {
				uri, err := b.read(t.Context(), id)
				l.mu.Lock()
				switch c := l.told[id]; {
				case c.deleted && errors.Is(err, errGone):
				case c.deleted:
					t.Errorf("deleted client %s is there with %q, %v", id, uri, err)
				case err != nil || uri != c.may[0] && uri != c.may[len(c.may)-1]:
					lost++
					t.Errorf("client %s has %q, one of %q was told; %v", id, uri, c.may, err)
				}
				l.told[id].has = uri
				l.mu.Unlock()
			}
		})
	}
	for _, id := range slices.Sorted(maps.Keys(l.told)) {
		ids <- id
	}
	close(ids)
	readers.Wait()
	return lost
}
