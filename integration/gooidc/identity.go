package main

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

type contextKey int

const (
	certificateKey contextKey = iota
	clientIDKey
)

// withCertificate finds the client certificate of a request: in the header if
// that is trusted, else in the connection, never in both. go-oidc asks for it
// several times a request.
func withCertificate(trustHeader bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var certificate *x509.Certificate
		switch {
		case trustHeader:
			var err error
			if certificate, err = headerCertificate(r.Header.Get("Client-Cert")); err != nil {
				slog.Warn("Client-Cert is not a certificate", "error", err)
			}
		case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
			certificate = r.TLS.PeerCertificates[0]
		}
		if certificate != nil {
			r = r.WithContext(context.WithValue(r.Context(), certificateKey, certificate))
		}
		next.ServeHTTP(w, r)
	})
}

// headerCertificate reads a Byte Sequence of RFC 9440 2.1: ":base64:". No
// header and an empty one are no certificate.
func headerCertificate(value string) (*x509.Certificate, error) {
	if value == "" {
		return nil, nil
	}
	if len(value) < 2 || !strings.HasPrefix(value, ":") || !strings.HasSuffix(value, ":") {
		return nil, errors.New("no byte sequence between colons")
	}
	der, err := base64.StdEncoding.DecodeString(value[1 : len(value)-1])
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func clientCertificate(ctx context.Context) (*x509.Certificate, error) {
	certificate, ok := ctx.Value(certificateKey).(*x509.Certificate)
	if !ok {
		return nil, errors.New("no client certificate")
	}
	return certificate, nil
}

// chosenID is what a gateway may choose; it becomes part of a path.
var chosenID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// withClientID passes on the client_id that the gateway chose for a new client.
func withClientID(config authserverprocess.Config, next http.Handler) http.Handler {
	if config.ClientIDHeader == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(config.ClientIDHeader)
		if chosenID.MatchString(id) && id != config.GatewayID && id != config.RegistrarID {
			r = r.WithContext(context.WithValue(r.Context(), clientIDKey, id))
		}
		next.ServeHTTP(w, r)
	})
}

// clientID names a new client. A chosen id that exists is saved over, so that a
// POST whose answer was lost can be repeated.
func clientID(ctx context.Context) string {
	if id, ok := ctx.Value(clientIDKey).(string); ok {
		return id
	}
	return uuid.NewString()
}
