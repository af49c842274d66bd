package crash_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestCrashPoints kills the gateway at every step of create, update and delete. Some
// points are only reached where the gateway chooses client_ids.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, b *bank) {
		c := &counts{}
		for _, s := range scenarios {
			if !s.reached(b.variant) {
				continue
			}
			if !t.Run(s.String(), func(t *testing.T) { b.play(t, s, c) }) {
				break // what is left would be found by the next one
			}
		}
		t.Logf("%s: %s", b.variant, c)
		b.stayUsedUp(t)
		b.nothingPending(t)
	})
}

// counts are what the issue of a crash run is.
type counts struct{ kills, acknowledged, lost, orphans, detached int }

func (c *counts) String() string {
	return fmt.Sprintf("%d kills, %d acknowledged, %d lost, %d orphans, %d detached", c.kills, c.acknowledged, c.lost, c.orphans, c.detached)
}

func (b *bank) play(t *testing.T, s scenario, c *counts) {
	switch s.operation {
	case "register":
		b.playRegister(t, s, c)
	case "update":
		b.playUpdate(t, s, c)
	case "delete":
		b.playDelete(t, s, c)
	case "remove":
		b.playRemove(t, s, c)
	}
}

// crash runs an operation in a gateway that ends at the scenario's point, restarts it
// and, where the scenario has another point, lets it end there too.
func (b *bank) crash(t *testing.T, s scenario, method string, operation func() (*tpp.Response, error)) (kills int) {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// The point is to be this operation's, and not one of what the scenario before has left.
	fail(b.settled(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), recovered)
	defer cancel()
	if s.point != "" {
		fail(b.crashAt(ctx, s.point))
	}
	fail(b.befall(ctx, s.trouble, method))
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cut := make(chan error, 1)
	go func() {
		r, err := operation()
		if err == nil {
			stop(fmt.Errorf("the gateway goes on, and answers %v", r))
		}
		cut <- err
	}()
	if s.point == "" {
		fail(b.AS.WaitHeld(ctx, 1))
		fail(b.Gateway.Kill())
	}
	if err := b.Gateway.Wait(waiting); err != nil {
		t.Fatalf("%v: %v; the TPP has %v", err, context.Cause(waiting), <-cut)
	}
	if err := <-cut; err == nil {
		t.Fatal(context.Cause(waiting))
	}
	fail(b.AS.ResetFaults(ctx))
	kills++
	if s.then != "" {
		fail(b.befall(ctx, s.meanwhile, method))
		// What is due at once may end it before it says that it is up.
		if err := b.Gateway.RestartWith(ctx, "DCR_CRASH_AT="+s.then); !killed(err) {
			fail(err)
		}
		fail(b.Gateway.Wait(ctx))
		fail(b.AS.ResetFaults(ctx))
		kills++
	}
	fail(b.Gateway.Restart(ctx))
	return kills
}

// crashAt has the running gateway end at a point from now on (registry/crashpoint_kill.go).
func (b *bank) crashAt(ctx context.Context, point string) error {
	file := filepath.Join(b.Dir, "dcr-crash-at")
	if err := os.WriteFile(file, []byte(point), 0o600); err != nil {
		return err
	}
	if err := syscall.Kill(b.Gateway.Pid(), syscall.SIGUSR2); err != nil {
		return err
	}
	return story.Eventually(ctx, recovered, func() error {
		if _, err := os.Stat(file); err == nil {
			return fmt.Errorf("the gateway has not read %s", file)
		}
		return nil
	})
}

// befall makes trouble at the AS's registration endpoint, of one method where the
// fault names no other.
func (b *bank) befall(ctx context.Context, t *trouble, method string) error {
	if t == nil {
		return nil
	}
	for _, fault := range t.faults {
		fault.PathContains, fault.Method = cmp.Or(fault.PathContains, b.registration), cmp.Or(fault.Method, method)
		if err := b.AS.Fault(ctx, fault); err != nil {
			return err
		}
	}
	return nil
}

// killed tells whether a process ended by SIGKILL.
func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func (b *bank) playRegister(t *testing.T, s scenario, c *counts) {
	a, err := b.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	had, err := b.atAS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.kills += b.crash(t, s, http.MethodPost, func() (*tpp.Response, error) {
		return b.Client(b.Acme).Register(t.Context(), b.Register, a.token, a.body)
	})
	id := b.register(t, a) // what a TPP does without an answer
	c.acknowledged++
	if uri := b.wholly(t, id); uri != a.uri {
		c.lost++
		t.Errorf("acknowledged and not there: %q", uri)
	}
	known := map[string]bool{id: true}
	for other := range had {
		known[other] = true
	}
	mayBeLost := 0
	if !b.chooses && s.loses {
		mayBeLost = 1
	}
	c.orphans += b.onlyThese(t, known, mayBeLost)
	if again := b.register(t, a); again != id {
		t.Errorf("registered twice: %s and %s", id, again)
	}
	b.usedUp(t, a)
	b.acknowledged = append(b.acknowledged, acknowledgement{a, time.Now()})
}

// registered is a client to change or delete.
func (b *bank) registered(t *testing.T) (id, token string, a attempt) {
	t.Helper()
	a, err := b.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id = b.register(t, a)
	if token, err = b.token(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return id, token, a
}

func (b *bank) playUpdate(t *testing.T, s scenario, c *counts) {
	id, token, a := b.registered(t)
	c.acknowledged++
	body, err := b.request(a.uri, a.uri+"/updated")
	if err != nil {
		t.Fatal(err)
	}
	c.kills += b.crash(t, s, http.MethodPut, func() (*tpp.Response, error) {
		return b.Client(b.Acme).Update(t.Context(), b.Register, id, token, body)
	})
	if !b.chooses {
		// The AS may have rotated the registration access token in an answer that nobody
		// got: then the client stays as it was here, and nobody can make the AS's copy so.
		if detached := b.isDetached(t, id, token, a); detached {
			c.detached++
			return
		}
	}
	if uri := b.wholly(t, id); uri != a.uri && uri != a.uri+"/updated" {
		c.lost++
		t.Errorf("registered with %q", uri)
	}
	for _, asked := range []string{a.uri, a.uri + "/updated"} {
		body, err := b.request(a.uri, asked)
		if err != nil {
			t.Fatal(err)
		}
		b.updates(t, id, token, body)
		if uri := b.wholly(t, id); uri != asked {
			t.Errorf("updated, and registered with %q", uri)
		}
	}
}

func (b *bank) playDelete(t *testing.T, s scenario, c *counts) {
	id, token, a := b.registered(t)
	c.acknowledged++
	s.trouble = s.trouble.of(id)
	c.kills += b.crash(t, s, http.MethodDelete, func() (*tpp.Response, error) {
		return b.Client(b.Acme).Delete(t.Context(), b.Register, id, token)
	})
	uri := b.wholly(t, id)
	if s.point == "delete: accepted" {
		if uri != a.uri {
			t.Fatalf("its deletion had not begun, and it has %q", uri)
		}
		r, err := b.Client(b.Acme).Delete(t.Context(), b.Register, id, token)
		if err != nil || r.Status != http.StatusNoContent {
			t.Fatalf("deleting it now: %v, %v, want 204", r, err)
		}
		uri = b.wholly(t, id)
	}
	if uri != "" {
		t.Errorf("its deletion had begun, and it is there with %q", uri)
	}
	r, err := b.Client(b.Acme).Read(t.Context(), b.Register, id, token)
	if err != nil || r.Status != http.StatusUnauthorized {
		t.Errorf("reading a deleted client: %v, %v, want 401", r, err)
	}
}

// playRemove has an operator delete a client that the AS says it has lost, and has again
// once the gateway is back.
func (b *bank) playRemove(t *testing.T, s scenario, c *counts) {
	id, _, _ := b.registered(t)
	c.acknowledged++
	c.kills += b.crash(t, s, http.MethodDelete, func() (*tpp.Response, error) {
		status, answer, err := b.Change(t.Context(), "clients/"+url.PathEscape(id), "delete", "lost")
		return &tpp.Response{Status: status, Body: answer}, err
	})
	if uri := b.wholly(t, id); uri != "" {
		t.Errorf("its deletion had begun, and it is there with %q", uri)
	}
	if status, answer, err := b.Change(t.Context(), "clients/"+url.PathEscape(id), "delete", "lost"); err != nil || status != http.StatusNotFound {
		t.Errorf("deleting it again: %d %s, %v, want 404", status, answer, err)
	}
}

// TestScenariosAreAll: every crash point of the registry is one of a scenario. Those of the
// store beside "committed" need a damaged or a grown store: registry/badger plays them.
func TestScenariosAreAll(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(checkout.Root(), "registry", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var inSources, played []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`crashpoint\("([^"]+)"\)`).FindAllStringSubmatch(string(text), -1) {
			inSources = append(inSources, m[1])
		}
	}
	for _, s := range scenarios {
		for _, point := range []string{s.point, s.then} {
			if point != "" && point != storeCommitted {
				played = append(played, point)
			}
		}
	}
	slices.Sort(inSources)
	slices.Sort(played)
	if played = slices.Compact(played); !slices.Equal(inSources, played) {
		t.Errorf("in the sources are\n%s\nplayed are\n%s", strings.Join(inSources, "\n"), strings.Join(played, "\n"))
	}
}

// TestProductHasNoCrashPoints: what operators run cannot be made to end by a variable.
func TestProductHasNoCrashPoints(t *testing.T) {
	for name, build := range map[string]func() (string, error){"product": gateway.Build, "crashing": gateway.BuildCrashing} {
		binary, err := build()
		if err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"DCR_CRASH_AT", ".dcr-test-room"} {
			if has := bytes.Contains(program, []byte(word)); has != (name == "crashing") {
				t.Errorf("%s has %s: %v", name, word, has)
			}
		}
	}
}
