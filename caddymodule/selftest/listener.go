package selftest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// listener is an https server on a free port of 127.0.0.1.
type listener struct {
	url, address string
	server       *http.Server
	served       chan error
	end          sync.Once
}

// servedNames are those of each server, beside its address: proxies of the configuration
// are told apart by the names under which they connect.
const servedNames = "*.selftest.invalid"

func listen(ca *authority, handler http.Handler) (*listener, error) {
	certificate, err := ca.server(servedNames)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &listener{url: "https://" + l.Addr().String(), address: l.Addr().String(), served: make(chan error, 1)}
	s.server = &http.Server{
		Handler: wholeRequests(handler), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		// An answer that comes while the request is still sent is nothing that is tried here, and
		// Caddy's reverse_proxy is not made for it with HTTP/2.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:     log.New(io.Discard, "", 0), // a hostile request may break a connection off
	}
	go func() { s.served <- s.server.ServeTLS(l, "", "") }()
	return s, nil
}

// maxRequest bounds what a server here reads of a request in bytes; the gateway sends less.
const maxRequest = 4 << 20

// wholeRequests has a request read before it is answered.
func wholeRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
		if err != nil {
			http.Error(w, "the request was cut off", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// close ends all connections, and waits for the server.
func (l *listener) close() (err error) {
	l.end.Do(func() {
		err = l.server.Close()
		if served := <-l.served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	})
	return err
}
