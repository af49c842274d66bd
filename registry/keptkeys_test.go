package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// keySet is one that was fetched now.
func keySet(url, organisation string, size int) registry.KeptKeys {
	now := time.Now()
	return registry.KeptKeys{
		Scope: "scope", URL: url, Software: organisation != "", Organisation: organisation, Body: []byte(strings.Repeat("k", size)),
		Fetched: now.UnixNano(), Fresh: now.Add(15 * time.Minute).UnixNano(), Until: now.Add(24*time.Hour + 15*time.Minute).UnixNano(),
	}
}

func (x *fixture) keepKeys(k registry.KeptKeys) {
	x.t.Helper()
	if err := x.KeepKeys(x.t.Context(), k); err != nil {
		x.t.Fatal(err)
	}
}

func (x *fixture) keepsKeys(scope, url string) bool {
	x.t.Helper()
	_, err := x.KeptKeys(x.t.Context(), scope, url)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		x.t.Fatal(err)
	}
	there, keepsErr := x.KeepsKeys(x.t.Context(), scope, url)
	if keepsErr != nil || err == nil && !there {
		x.t.Errorf("%s %s: kept %t, %v; and it can be read", scope, url, there, keepsErr)
	}
	return err == nil
}

func TestKeptKeys(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		k := keySet("https://directory.example/keys", "", 100)
		x.keepKeys(k)
		got, err := x.KeptKeys(x.t.Context(), "scope", k.URL)
		if err != nil || string(got.Body) != string(k.Body) || got.Fetched != k.Fetched || got.Fresh != k.Fresh || got.Until != k.Until {
			x.t.Errorf("%+v, %v; want %+v", got, err, k)
		}
		if x.keepsKeys("other", k.URL) || x.keepsKeys("scope", k.URL+"/other") {
			x.t.Error("a set counts in another scope, or for another URL")
		}
		time.Sleep(time.Until(time.Unix(0, k.Until)) - time.Nanosecond)
		if !x.keepsKeys("scope", k.URL) {
			x.t.Error("gone before its end")
		}
		time.Sleep(time.Nanosecond)
		if x.keepsKeys("scope", k.URL) {
			x.t.Error("there after its end")
		}
	})
}

// TestKeptKeysAreSeldomWritten: a set that does not change is written once an hour, one
// that does at once, and none before it that has become too large to be kept.
func TestKeptKeysAreSeldomWritten(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		const url = "https://directory.example/keys"
		fetched := func() int64 {
			x.t.Helper()
			k, err := x.KeptKeys(x.t.Context(), "scope", url)
			if err != nil {
				x.t.Fatal(err)
			}
			return k.Fetched
		}
		first := keySet(url, "org1", 100)
		x.keepKeys(first)
		time.Sleep(59 * time.Minute)
		x.keepKeys(keySet(url, "org1", 100))
		if fetched() != first.Fetched {
			x.t.Error("the same set was written twice in an hour")
		}
		changed := keySet(url, "org1", 101)
		x.keepKeys(changed)
		if fetched() != changed.Fetched {
			x.t.Error("a changed set was not written")
		}
		time.Sleep(time.Hour)
		again := keySet(url, "org1", 101)
		x.keepKeys(again)
		if fetched() != again.Fetched {
			x.t.Error("a set of an hour ago was not written again")
		}
		x.keepKeys(keySet(url, "org1", 65<<10))
		if x.keepsKeys("scope", url) {
			x.t.Error("an older set is kept of one that is too large")
		}
		x.keepKeys(keySet(url, "", 256<<10))
		if x.keepsKeys("scope", url) {
			x.t.Error("a set above the bound is kept")
		}
		x.keepKeys(keySet(url, "", 200<<10))
		if !x.keepsKeys("scope", url) {
			x.t.Error("a large set of a configured address is not kept")
		}
	})
}

// TestKeptKeysSize: a set of software has 64 KiB at most with its URL, one of a configured
// address 256 KiB.
func TestKeptKeysSize(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		for organisation, most := range map[string]int{"org1": 64 << 10, "": 256 << 10} {
			url := "https://directory.example/keys/" + organisation
			for size, want := range map[int]bool{most: true, most + 1: false} {
				x.keepKeys(keySet(url, organisation, size-len(url)))
				if got := x.keepsKeys("scope", url); got != want {
					x.t.Errorf("a set of %d bytes, organisation %q: kept %v, want %v", size, organisation, got, want)
				}
			}
		}
	})
}

// TestKeptKeysAreBoundedPerOrganisation: an organisation that has many sets, or large ones, pushes out its
// own, the oldest first, and nobody else's. That holds after a restart too.
func TestKeptKeysAreBoundedPerOrganisation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := &fixture{t: t, store: staying{memory.Open(memory.Options{})}}
		open := func() func() {
			r, err := registry.Open(t.Context(), registry.Options{Store: x.store, Sealer: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			x.Registry = r
			return func() {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		end := open()
		x.keepKeys(keySet("https://directory.example/keys", "", 100))
		x.keepKeys(keySet("https://directory.example/other", "other", 100))
		for i := range 50 {
			time.Sleep(time.Second)
			x.keepKeys(keySet(fmt.Sprint("https://directory.example/", i), "hostile", 100))
		}
		end()
		end = open()
		defer func() { end() }()
		for i := range 50 {
			time.Sleep(time.Second)
			x.keepKeys(keySet(fmt.Sprint("https://directory.example/", 50+i), "hostile", 100))
		}
		for i := range 100 {
			if kept := x.keepsKeys("scope", fmt.Sprint("https://directory.example/", i)); kept != (i >= 36) {
				t.Errorf("set %d of 100: kept %v", i, kept)
			}
		}
		for i := range 40 {
			time.Sleep(time.Second)
			x.keepKeys(keySet(fmt.Sprint("https://directory.example/large/", i), "hostile", 60<<10))
		}
		total := 0
		for _, name := range x.keys("jwks/") {
			total += len(x.get(name))
		}
		if total > 1500<<10 {
			t.Errorf("one organisation has %d bytes", total)
		}
		if !x.keepsKeys("scope", "https://directory.example/keys") || !x.keepsKeys("scope", "https://directory.example/other") {
			t.Error("the others' are gone")
		}
		time.Sleep(25 * time.Hour)
		x.keepKeys(keySet("https://directory.example/keys", "", 100))
		if names := x.keys("jwks/"); len(names) > 2 {
			t.Errorf("%d sets, and all but one have ended", len(names))
		}
	})
}
