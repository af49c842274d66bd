package caddymodule

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/gateway"
)

func init() {
	caddy.RegisterModule(new(Handshakes))
}

// Handshakes is a listener wrapper that logs which client certificates are refused in the
// TLS handshake, where no handler ever sees a request. It comes after the wrapper tls,
// which is what one after no other does.
//
// Each connection is handed on at once, as the same *tls.Conn. A goroutine of its own
// completes the handshake and looks at what came of it; net/http, which wants the handshake
// too, waits for the same one. So nobody waits for a slow client, nor for a place: while
// there is none, handshakes are made and not looked at, and are counted.
type Handshakes struct {
	// Timeout is how long a handshake may take. A client that takes longer is cut off.
	// Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// AtOnce is how many handshakes are looked at at once, of one address at most an
	// eighth. Default: 512.
	AtOnce int `json:"at_once,omitempty"`

	log      *slog.Logger
	refusals *refusedHandshakes
	places   chan struct{}

	mu sync.Mutex
	of map[string]int // places taken, by networkOf the address
}

// Defaults of Handshakes.
const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultHandshakesAtOnce = 512
	// shareOfHandshakes of all places may be one address's.
	shareOfHandshakes = 8
)

var (
	// refusedCertificates and unobservedHandshakes count since the process began.
	refusedCertificates = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_openbanking_dcr_refused_certificates_total",
		Help: "TLS handshakes that failed because of the client certificate, by reason.",
	}, []string{"reason"})
	unobservedHandshakes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_openbanking_dcr_unobserved_handshakes_total",
		Help: "TLS handshakes that were not observed, because too many were under way.",
	})
)

// CaddyModule returns the module's name.
func (*Handshakes) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.openbanking_dcr", New: func() caddy.Module { return new(Handshakes) }}
}

// Provision checks the configuration.
func (h *Handshakes) Provision(ctx caddy.Context) error {
	if h.Timeout < 0 || h.AtOnce < 0 {
		return errors.New("openbanking_dcr: timeout and at_once must be positive")
	}
	if h.Timeout == 0 {
		h.Timeout = caddy.Duration(defaultHandshakeTimeout)
	}
	if h.AtOnce == 0 {
		h.AtOnce = defaultHandshakesAtOnce
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		if err := checkWrapperOrder(server.ListenerWrappersRaw); err != nil {
			return err
		}
	}
	if to := ctx.GetMetricsRegistry(); to != nil {
		for _, c := range []prometheus.Collector{refusedCertificates, unobservedHandshakes} {
			if err := to.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
				return err
			}
		}
	}
	return h.prepare(ctx.Slogger())
}

func (h *Handshakes) prepare(log *slog.Logger) (err error) {
	h.log, h.places, h.of = log, make(chan struct{}, h.AtOnce), map[string]int{}
	h.refusals, err = newRefusedHandshakes(log)
	return err
}

// checkWrapperOrder refuses this wrapper before tls, where it would see no handshake.
func checkWrapperOrder(all []json.RawMessage) error {
	ours := 0
	for _, raw := range all {
		var w struct {
			Wrapper string `json:"wrapper"`
		}
		if err := json.Unmarshal(raw, &w); err != nil {
			return fmt.Errorf("listener_wrappers: %w", err)
		}
		switch {
		case w.Wrapper == "openbanking_dcr":
			ours++
		case w.Wrapper == "tls" && ours > 0:
			return errors.New("listener_wrappers: openbanking_dcr must be after tls, or alone, because it sees no handshake before tls")
		}
	}
	if ours > 1 {
		return errors.New("listener_wrappers: openbanking_dcr is written twice")
	}
	return nil
}

// WrapListener looks at the handshakes of a listener.
func (h *Handshakes) WrapListener(l net.Listener) net.Listener { return watchedListener{l, h} }

type watchedListener struct {
	net.Listener
	handshakes *Handshakes
}

// Accept asks nothing of the connection: behind a PROXY protocol even its address waits
// for the client.
func (l watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if over, ok := conn.(*tls.Conn); ok { // a listener for plain HTTP has others
		l.handshakes.begin(over)
	}
	return conn, nil
}

// begin looks at a handshake where there is a place.
func (h *Handshakes) begin(conn *tls.Conn) {
	select {
	case h.places <- struct{}{}:
		go func() {
			defer func() { <-h.places }()
			h.watch(conn)
		}()
	default:
		unobservedHandshakes.Inc()
	}
}

// watch completes a handshake, in bounded time, and says why it failed.
func (h *Handshakes) watch(conn *tls.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(h.Timeout))
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.NetConn().Close() })() // the address may be waited for too
	defer func() {
		// What net/http recovers from in its own goroutine must not end the process here.
		if panicked := recover(); panicked != nil {
			h.log.Error("recovered from a panic in a TLS handshake", slog.Any("error", panicked))
			_ = conn.NetConn().Close()
		}
	}()
	from := addressOf(conn)
	if !h.take(gateway.NetworkOf(from)) {
		unobservedHandshakes.Inc()
		return
	}
	defer h.give(gateway.NetworkOf(from))
	if err := conn.HandshakeContext(ctx); err != nil {
		h.refusals.add(conn, from, err, time.Now())
	}
}

// take gets one of an address's places, until give.
func (h *Handshakes) take(from string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of[from] >= max(1, h.AtOnce/shareOfHandshakes) {
		return false
	}
	h.of[from]++
	return true
}

func (h *Handshakes) give(from string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of[from]--; h.of[from] == 0 {
		delete(h.of, from)
	}
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Handshakes)(nil)
	_ caddy.ListenerWrapper = (*Handshakes)(nil)
)
