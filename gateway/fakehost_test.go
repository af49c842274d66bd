package gateway

import (
	"context"
	"log/slog"
	"maps"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// fakeHost is a server as a gateway sees it.
type fakeHost struct {
	clientIP  string
	trusted   bool
	failed    bool
	logs      bool
	logged    []slog.Attr
	events    []map[string]any
	sentAgain int
}

type valuesKey struct{}

// ofHost is a request as the host hands it to a gateway.
func ofHost(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), valuesKey{}, map[string]any{}))
}

func valuesOf(r *http.Request) map[string]any {
	values, _ := r.Context().Value(valuesKey{}).(map[string]any)
	return values
}

func (h *fakeHost) ClientIP(*http.Request) string                 { return h.clientIP }
func (h *fakeHost) FromTrustedProxy(*http.Request) bool           { return h.trusted }
func (h *fakeHost) Value(r *http.Request, name string) any        { return valuesOf(r)[name] }
func (h *fakeHost) Failed(*http.Request) bool                     { return h.failed }
func (h *fakeHost) LogsAccess(*http.Request) bool                 { return h.logs }
func (h *fakeHost) Emit(_ string, data map[string]any)            { h.events = append(h.events, data) }
func (h *fakeHost) AddToAccessLog(_ *http.Request, f []slog.Attr) { h.logged = append(h.logged, f...) }

func (h *fakeHost) SetValue(r *http.Request, name string, value any) {
	if values := valuesOf(r); values != nil {
		values[name] = value
	}
}

func (h *fakeHost) Again(r *http.Request) *http.Request {
	h.sentAgain++
	return r.WithContext(context.WithValue(r.Context(), valuesKey{}, maps.Clone(valuesOf(r))))
}

// heldStore is a registry that is open all the time.
type heldStore struct{ registry *registry.Registry }

func (s heldStore) Enter() (*registry.Registry, error)    { return s.registry, nil }
func (s heldStore) EnterOpen() (*registry.Registry, bool) { return s.registry, true }
func (heldStore) Leave()                                  {}
