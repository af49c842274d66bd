package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// Clients returns the metadata of all dynamically registered clients, as
// authserverprocess.Process.Clients has them.
type Clients func(context.Context) ([]map[string]any, error)

// Change replaces members of a client's metadata behind the gateway's back; without metadata
// it deletes the client.
type Change func(ctx context.Context, clientID string, metadata map[string]any) error

// Serve serves a handler, which sees the whole path with the prefix, until ctx
// ends or, where the configuration says so, stdin does. It writes the ready line. change is nil
// for a server whose clients tests cannot change.
func Serve(ctx context.Context, config authserverprocess.Config, handler http.Handler, clients Clients, change Change) error {
	if config.StopAtStdinEnd {
		ctx = untilEnd(ctx, os.Stdin)
	}
	tlsConfig, err := serverTLS(config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}
	ready := authserverprocess.Ready{Listen: listener.Addr().String()}
	handler = locked(config, handler)
	edge := newEdge(handler)

	control := newServer(newControl(edge, clients, change))
	failed := make(chan error, 2)
	if config.Admin {
		handler = edge
		listener, err := net.Listen("tcp", config.ControlListen)
		if err != nil {
			return err
		}
		ready.Control = listener.Addr().String()
		go func() { failed <- control.Serve(listener) }()
	}
	server := newServer(handler)
	go func() { failed <- server.Serve(tls.NewListener(listener, tlsConfig)) }()
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	edge.reset() // a held request would hold the shutdown too
	shutdown(server, control)
	return nil
}

// locked keeps out whoever goes round the gateway.
func locked(config authserverprocess.Config, next http.Handler) http.Handler {
	if config.LockHeader == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.Header.Values(config.LockHeader); len(values) != 1 || values[0] != config.LockSecret {
			http.Error(w, "only through the gateway", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func shutdown(servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, server := range servers {
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}
}

// ReadConfig reads the file that a server was started with.
func ReadConfig(file string) (authserverprocess.Config, error) {
	config := authserverprocess.Config{Listen: "127.0.0.1:0", ControlListen: "127.0.0.1:0"}
	f, err := os.Open(file)
	if err != nil {
		return config, err
	}
	defer f.Close()
	decoder := json.NewDecoder(f)
	decoder.DisallowUnknownFields() // a misspelt switch would be off without a word
	if err := decoder.Decode(&config); err != nil {
		return config, fmt.Errorf("%s: %w", file, err)
	}
	switch config.AccessTokens {
	case "", "opaque", "jwt":
		return config, nil
	default:
		return config, fmt.Errorf("%s: access_tokens %q is neither opaque nor jwt", file, config.AccessTokens)
	}
}

// untilEnd ends the context with the reader: whoever started us is gone.
func untilEnd(parent context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Minute, // a crowd on a busy machine is slow
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
}

// serverTLS offers HTTP/1.1 only, as the Node server does: a fault that drops
// the connection then looks the same to the gateway.
func serverTLS(config authserverprocess.Config) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(config.TLSCert, config.TLSKey)
	if err != nil {
		return nil, err
	}
	out := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	if config.ClientCA == "" {
		return out, nil
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven
	if config.LockMTLS {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	out.ClientCAs, err = ReadRoots(config.ClientCA)
	return out, err
}

// ReadRoots reads a PEM file of certificates to trust.
func ReadRoots(file string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, errors.New(file + " holds no certificate")
	}
	return pool, nil
}
