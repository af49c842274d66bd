package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// prepared is an engine whose store is there already.
type prepared struct {
	key string
	registry.Store
}

func (e prepared) Key() string { return e.key }
func (e prepared) Open(context.Context, *slog.Logger) (registry.Store, error) {
	return e.Store, nil
}

// TestKeptDocument: a document counts for the authorization server that it was kept of.
func TestKeptDocument(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	engine := prepared{t.Name(), memory.Open(memory.Options{})}
	a := configuration(t, engine, "")
	h := a.workspaces[0]
	var log bytes.Buffer
	h.app, h.log = a, slog.New(slog.NewTextHandler(&log, nil))
	if _, err := a.Enter(); err != nil {
		t.Fatal(err)
	}
	defer a.Leave()
	at := func(url string) documents { h.AuthorizationServer.URL = url; return documents{h} }
	const (
		this = "https://as.internal:9443/default/obuk"
		mine = `{"issuer":"https://bank.example/default/obuk","n":1}`
	)
	if _, err := at(this).Load(t.Context()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("nothing is kept: got %v, want %v", err, registry.ErrNotFound)
	}
	if err := at(this).Save(t.Context(), []byte(mine)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url string
		err error
	}{
		{this, nil},
		{"https://AS.internal:9443/default/obuk", nil},
		{"https://as.internal:9444/default/obuk", registry.ErrOtherServer},
		{"https://other.internal:9443/default/obuk", registry.ErrOtherServer},
	} {
		got, err := at(c.url).Load(t.Context())
		if !errors.Is(err, c.err) || (string(got) == mine) != (c.err == nil) {
			t.Errorf("%s: %s, %v, want %v", c.url, got, err, c.err)
		}
		if c.err != nil && (err == nil || !strings.Contains(err.Error(), "kept of "+this)) {
			t.Errorf("%s: %v does not say of which it is", c.url, err)
		}
	}
	if log.Len() > 0 {
		t.Errorf("got %s, want no line", log.String())
	}
	// One that an earlier version has written since, over the note of this one.
	for _, c := range []struct {
		name, document string
		used           bool
	}{
		{"the issuer's path is this one's", `{"issuer":"https://bank.example/default/obuk","n":2}`, true},
		{"the issuer's path is another", `{"issuer":"https://bank.example/default/other"}`, false},
		{"no issuer", `{}`, false},
		{"no document", `<html>`, false},
	} {
		log.Reset()
		if err := engine.Update(t.Context(), func(w registry.Writer) error { return w.Put("discovery/default%2Fobuk", []byte(c.document)) }); err != nil {
			t.Fatal(err)
		}
		got, err := at(this).Load(t.Context())
		if (err == nil) != c.used || (string(got) == c.document) != c.used || strings.Contains(log.String(), "level=WARN") != c.used {
			t.Errorf("%s: got %s, %v, log %s, want it used %t", c.name, got, err, log.String(), c.used)
		}
		if err != nil && !strings.Contains(err.Error(), "an earlier version") {
			t.Errorf("%s: got %v, want an error of an earlier version, or none", c.name, err)
		}
	}
}
