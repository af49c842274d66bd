package caddymodule

import (
	"context"
	"log/slog"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// caddyHost is Caddy as the gateway sees it.
type caddyHost struct {
	ctx    caddy.Context
	events *caddyevents.App
}

func newCaddyHost(ctx caddy.Context) (*caddyHost, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	return &caddyHost{ctx, app.(*caddyevents.App)}, nil
}

// ServeHTTP answers what is the gateway's and passes the rest on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return serveThrough(h.gateway, w, r, next)
}

func serveThrough(gateway http.Handler, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	c := &call{Context: r.Context(), next: next}
	gateway.ServeHTTP(w, r.WithContext(c))
	return c.err
}

// call is one request on its way through a gateway, which passes it on to next. It is the
// request's context.
type call struct {
	context.Context
	next caddyhttp.Handler
	// err is that of next, which Caddy answers.
	err error
}

type callKey struct{}

func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(r *http.Request) *call {
	c, _ := r.Context().Value(callKey{}).(*call)
	return c
}

// serveNext is the next handler of a request's site.
func serveNext(w http.ResponseWriter, r *http.Request) {
	c := callOf(r)
	c.err = c.next.ServeHTTP(w, r)
}

func (*caddyHost) Failed(r *http.Request) bool { return callOf(r).err != nil }

// ClientIP is what Caddy's server has found out, with its trusted_proxies.
func (*caddyHost) ClientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

func (*caddyHost) FromTrustedProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

func (*caddyHost) Value(r *http.Request, name string) any { return caddyhttp.GetVar(r.Context(), name) }

func (*caddyHost) SetValue(r *http.Request, name string, value any) {
	caddyhttp.SetVar(r.Context(), name, value)
}

// Again has variables of its own: a connection to the AS that the attempt before has begun
// to open may read those of its request still.
func (*caddyHost) Again(r *http.Request) *http.Request {
	vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, maps.Clone(vars)))
}

func (c *caddyHost) Emit(event string, data map[string]any) {
	c.events.Emit(c.ctx, event, data)
}

// Emit tells whoever listens of an event that no request of a TPP has brought about.
func (a *App) Emit(event string, data map[string]any) {
	host, err := newCaddyHost(a.ctx)
	if err != nil {
		a.log.Error("cannot emit an event", slog.String("event", event), slog.Any("error", err))
		return
	}
	host.Emit(event, data)
}

func (*caddyHost) LogsAccess(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server.Logs != nil
}

func (*caddyHost) AddToAccessLog(r *http.Request, fields []slog.Attr) {
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		for _, f := range fields {
			extra.Add(zap.String("dcr_"+f.Key, f.Value.String()))
		}
	}
}
