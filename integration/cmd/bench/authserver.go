package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// authServer is an AS that answers at once: what is measured is the gateway. It
// registers everything and keeps nothing.
type authServer struct {
	// URL is where it is, with the issuer's path.
	URL string

	// revocations is locked while no revocation is to be answered, revoked counts them.
	revocations sync.RWMutex
	revoked     atomic.Int64

	// hostile is in the registrations that are never answered, empty for none; hung counts
	// those that wait.
	hostile atomic.Pointer[string]
	hung    atomic.Int64

	issuer string
	key    directory.Key
	server *http.Server
	served chan error
}

func startAuthServer(ctx context.Context, issuer string, certificate tls.Certificate) (*authServer, error) {
	key, err := directory.NewKey(jose.PS256)
	if err != nil {
		return nil, err
	}
	jwk, err := key.JWK()
	if err != nil {
		return nil, err
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk}})
	if err != nil {
		return nil, err
	}
	document, err := json.Marshal(map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token",
		"registration_endpoint": issuer + "/reg", "jwks_uri": issuer + "/jwks", "revocation_endpoint": issuer + "/revoke",
		"token_endpoint_auth_methods_supported":            []string{"tls_client_auth", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"PS256", "ES256"},
		"grant_types_supported":                            []string{"authorization_code", "implicit", "refresh_token", "client_credentials"},
		"response_types_supported":                         []string{"code", "code id_token"},
		"id_token_signing_alg_values_supported":            []string{"PS256", "ES256"},
		"request_object_signing_alg_values_supported":      []string{"PS256", "ES256"},
		"scopes_supported":                                 []string{"openid", "accounts", "payments", "dcr_register"},
		"subject_types_supported":                          []string{"public"},
		"tls_client_certificate_bound_access_tokens":       true,
	})
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("authorization server: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+story.Prefix+"/.well-known/openid-configuration", fixed(document))
	mux.Handle("GET "+story.Prefix+"/jwks", fixed(keys))
	a := &authServer{URL: "https://" + listener.Addr().String() + story.Prefix, issuer: issuer, key: key, served: make(chan error, 1)}
	mux.HandleFunc("POST "+story.Prefix+"/reg", a.register)
	mux.HandleFunc("POST "+story.Prefix+"/revoke", func(w http.ResponseWriter, _ *http.Request) {
		a.revocations.RLock()
		defer a.revocations.RUnlock()
		a.revoked.Add(1)
		w.WriteHeader(http.StatusOK)
	})
	a.server = &http.Server{
		Handler:           mux,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: 10 * time.Second,
		Protocols:         new(http.Protocols),
		ErrorLog:          log.New(io.Discard, "", 0), // a gateway that ends while it dials
	}
	a.server.Protocols.SetHTTP1(true) // as most authorization servers speak
	go func() { a.served <- a.server.ServeTLS(listener, "", "") }()
	return a, nil
}

func fixed(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the gateway went away
	})
}

// register answers as RFC 7591 3.2.1 says: the metadata, and what it adds. The
// body is the gateway's, so that its end is where JSON objects end.
func (a *authServer) register(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if of := a.hostile.Load(); err == nil && of != nil && *of != "" && bytes.Contains(body, []byte(*of)) {
		a.hung.Add(1)
		defer a.hung.Add(-1)
		<-r.Context().Done()
		return
	}
	id := r.Header.Get("X-Client-Id")
	if err != nil || len(body) == 0 || body[len(body)-1] != '}' || uuid.Validate(id) != nil {
		http.Error(w, `{"error":"invalid_client_metadata"}`, http.StatusBadRequest)
		return
	}
	body = fmt.Appendf(body[:len(body)-1], `,"client_id":%q,"client_id_issued_at":%d,"registration_access_token":"%s.%s","registration_client_uri":"https://%s%s/reg/%s"}`,
		id, time.Now().Unix(), id, id, r.Host, story.Prefix, id)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body) // the gateway went away
}

// hangFor has it never answer the registrations of a software.
func (a *authServer) hangFor(softwareID string) { a.hostile.Store(&softwareID) }

// registrationToken is an access token (RFC 9068) that registers once.
func (a *authServer) registrationToken() (string, error) {
	now := time.Now()
	return a.key.Sign(map[string]any{
		"iss": a.issuer, "sub": "registrar", "client_id": "registrar", "aud": a.issuer, "scope": "dcr_register",
		"jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}, map[string]any{"typ": "at+jwt"})
}

// Close ends it at once.
func (a *authServer) Close() error {
	err := a.server.Close()
	if served := <-a.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
