package e2e_test

import (
	"cmp"
	"os"
	"strconv"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// everything has all tests run at every authorization server: make test-long PART=e2e-all.
var everything = os.Getenv("E2E") == "all"

// crowd is how many requests come at once, a hundred in make test-long PART=e2e-all. Each
// is a handshake and a registration, for which the race detector makes the gateway slow.
var crowd = map[bool]int{false: 32, true: 100}[everything]

// raceDetecting is the gateway of the tests that do much at once: it has the race detector.
// Those of other tests have it where the tests have it: it doubles what a gateway costs.
func raceDetecting(t *testing.T) string {
	t.Helper()
	binary, err := gateway.BuildRace()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// each runs a test against every authorization server, side by side and beside other
// tests: most of them wait most of the time.
func each(t *testing.T, o story.Options, f func(*testing.T, *story.Play)) {
	t.Helper()
	t.Parallel()
	at(t, authserverprocess.Kinds, o, f)
}

// once is for what the gateway decides by itself, whatever the authorization server: it
// runs a test against one of them.
func once(t *testing.T, o story.Options, f func(*testing.T, *story.Play)) {
	t.Helper()
	t.Parallel()
	at(t, onceKinds(), o, f)
}

// onceKinds are the servers of once: the one that starts with the least, or all.
func onceKinds() []authserverprocess.Kind {
	if everything {
		return authserverprocess.Kinds
	}
	return []authserverprocess.Kind{authserverprocess.GoOIDC}
}

// at runs a test against these servers, side by side, and beside no other test unless the
// test says so.
func at(t *testing.T, kinds []authserverprocess.Kind, o story.Options, f func(*testing.T, *story.Play)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			o := o
			o.Kind = kind
			f(t, learn(t, open(t, o)))
		})
	}
}

// clientsAtOnce is how many clients TestUpAndDown registers: a thousand in make
// test-long PART=crowd.
func clientsAtOnce(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("CROWD"), "300"))
	if err != nil || n < 50 {
		t.Fatalf("CROWD is %q, want a number from 50 on: %v", os.Getenv("CROWD"), err)
	}
	return n
}
