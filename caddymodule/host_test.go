package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/gateway"
)

// listener keeps the events that it is told.
type listener struct{ heard []caddy.Event }

func (l *listener) Handle(_ context.Context, e caddy.Event) error {
	l.heard = append(l.heard, e)
	return nil
}

// TestEvents: whoever listens to Caddy's events hears those of the gateway.
func TestEvents(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	events, heard := new(caddyevents.App), new(listener)
	if err := events.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := events.On(gateway.EventPolicyDenied, heard); err != nil {
		t.Fatal(err)
	}
	if err := events.Start(); err != nil {
		t.Fatal(err)
	}
	(&caddyHost{ctx, events}).Emit(gateway.EventPolicyDenied, map[string]any{"policy": "p"})
	if len(heard.heard) != 1 || heard.heard[0].Data["policy"] != "p" {
		t.Errorf("heard %v, want one event of policy p", heard.heard)
	}
}

// TestRequestOfCaddy: what Caddy's server knows of a request, the gateway learns.
func TestRequestOfCaddy(t *testing.T) {
	host, bare := new(caddyHost), httptest.NewRequest(http.MethodGet, "/", nil)
	if host.ClientIP(bare) != "" || host.FromTrustedProxy(bare) || host.LogsAccess(bare) || host.Again(bare) != bare {
		t.Error("a request that Caddy's server has not seen has something of it")
	}
	host.AddToAccessLog(bare, nil)
	extra := new(caddyhttp.ExtraLogFields)
	ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1", caddyhttp.TrustedProxyVarKey: true})
	ctx = context.WithValue(ctx, caddyhttp.ServerCtxKey, &caddyhttp.Server{Logs: &caddyhttp.ServerLogConfig{}})
	ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, extra)
	r := bare.WithContext(ctx)
	if ip := host.ClientIP(r); ip != "192.0.2.1" || !host.FromTrustedProxy(r) || !host.LogsAccess(r) {
		t.Errorf("client IP %q, trusted proxy %v, access log %v", ip, host.FromTrustedProxy(r), host.LogsAccess(r))
	}
	host.SetValue(r, "a", 1)
	again := host.Again(r)
	host.SetValue(again, "a", 2)
	if before, after := host.Value(r, "a"), host.Value(again, "a"); before != 1 || after != 2 {
		t.Errorf("the request has %v, that of the next attempt %v, want 1 and 2", before, after)
	}
	host.AddToAccessLog(r, []slog.Attr{slog.String("client_id", "c")})
	if n := reflect.ValueOf(extra).Elem().FieldByName("fields").Len(); n != 1 { // Caddy shows them nobody
		t.Errorf("the access log has %d fields more, want 1", n)
	}
}

// TestErrorOfNextHandlerReachesCaddy: an error of the next handler comes back to Caddy, through whatever
// the gateway has put round the request.
func TestErrorOfNextHandlerReachesCaddy(t *testing.T) {
	failure, host := errors.New("no upstream"), new(caddyHost)
	for _, want := range []error{failure, nil} {
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return want })
		through := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if host.Failed(r) {
				t.Error("the next handler has failed before it was called")
			}
			r = host.Again(r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{})))
			serveNext(w, r)
			if host.Failed(r) != (want != nil) {
				t.Errorf("the gateway is told %v, want %v", host.Failed(r), want != nil)
			}
		})
		if err := serveThrough(through, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), next); !errors.Is(err, want) {
			t.Errorf("Caddy is told %v, want %v", err, want)
		}
	}
}
