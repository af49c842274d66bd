package caddymodule

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// refusedHandshakes logs handshakes that failed for the client certificate, some of each
// address and some of all, and counts the others.
type refusedHandshakes struct {
	log     *slog.Logger
	all     *rate.Limiter
	leftOut atomic.Int64

	mu sync.Mutex
	of *lru.Cache[string, *rate.Limiter] // by address
}

// Lines of the log: of one address 5 at once and one in each 10 s, of all 50 at once and
// 5 in each second. maxHandshakeAddresses are told apart, the least recent forgotten first.
const (
	linesOfAddress        = 5
	lineOfAddressEvery    = 10 * time.Second
	linesOfAll            = 50
	linesOfAllPerSecond   = 5
	maxHandshakeAddresses = 4096
)

func newRefusedHandshakes(log *slog.Logger) (*refusedHandshakes, error) {
	of, err := lru.New[string, *rate.Limiter](maxHandshakeAddresses)
	return &refusedHandshakes{log: log, all: rate.NewLimiter(linesOfAllPerSecond, linesOfAll), of: of}, err
}

// allows tells whether one more line may be written about an address.
func (r *refusedHandshakes) allows(from string, now time.Time) bool {
	r.mu.Lock()
	limiter, ok := r.of.Get(from)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(lineOfAddressEvery), linesOfAddress)
		r.of.Add(from, limiter)
	}
	r.mu.Unlock()
	return limiter.AllowN(now, 1) && r.all.AllowN(now, 1)
}

// add takes a handshake that failed, and logs it where the client certificate is why.
func (r *refusedHandshakes) add(conn *tls.Conn, from string, err error, now time.Time) {
	state := conn.ConnectionState()
	leaf, why := refusedCertificate(err, state.PeerCertificates, now)
	if why.reason == "" {
		return
	}
	refusedCertificates.WithLabelValues(why.reason).Inc()
	if !r.allows(gateway.NetworkOf(from), now) {
		r.leftOut.Add(1)
		return
	}
	fields := []slog.Attr{slog.String("reason", why.reason), slog.String("cause", why.cause), slog.String("remote", from)}
	if state.ServerName != "" {
		fields = append(fields, slog.String("server_name", refusal.ForLog(state.ServerName)))
	}
	if leaf != nil {
		fields = append(fields,
			slog.String("issuer", refusal.ForLog(dn.SubjectText(leaf.RawIssuer))), slog.String("subject_sha256", hashOf(leaf.RawSubject)),
			slog.String("certificate", hashOf(leaf.Raw)), slog.Time("not_before", leaf.NotBefore.UTC()), slog.Time("not_after", leaf.NotAfter.UTC()))
	}
	if n := r.leftOut.Swap(0); n > 0 {
		fields = append(fields, slog.Int64("omitted_lines", n))
	}
	r.log.LogAttrs(context.Background(), slog.LevelWarn, "refused a client certificate in the TLS handshake", fields...)
}

// hashOf is SHA-256 in base64url, as x5t#S256 of a certificate is.
func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// whyRefused is one of a few reasons, and the text of the error. Neither has the name of
// the certificate's holder.
type whyRefused struct{ reason, cause string }

// The reasons of refusals in the handshake.
const (
	reasonMissing          = "missing"
	reasonExpired          = "expired"
	reasonNotYetValid      = "not_yet_valid"
	reasonUnknownAuthority = "unknown_authority"
	reasonUsage            = "usage"
	reasonInvalid          = "invalid"
)

// refusedCertificate is the certificate for which a handshake failed, nil where none was
// sent or it cannot be read, and why. Without a reason it failed for something else.
// presented are those that the connection has.
func refusedCertificate(err error, presented []*x509.Certificate, now time.Time) (leaf *x509.Certificate, why whyRefused) {
	var unverified *tls.CertificateVerificationError
	switch text := err.Error(); {
	case errors.As(err, &unverified) && len(unverified.UnverifiedCertificates) > 0:
		return unverified.UnverifiedCertificates[0], reasonOf(unverified.Err, now)
	case strings.HasPrefix(text, "tls: client didn't provide a certificate"): // the one text that Go has no type for
		return nil, whyRefused{reasonMissing, "the site demands a client certificate (mode require_and_verify), and none was sent"}
	case strings.HasPrefix(text, "tls: client certificate "), strings.HasPrefix(text, "tls: failed to parse client certificate"), strings.HasPrefix(text, "tls: client sent certificate "):
		return nil, whyRefused{reasonInvalid, refusal.Quote(text)}
	case len(presented) > 0 && !ofConnection(err): // a module of client_auth refuses it, or the signature is not its key's
		return presented[0], whyRefused{reasonInvalid, refusal.Quote(text)}
	}
	return nil, whyRefused{}
}

// ofConnection tells whether an error is about the connection, or the client's own.
func ofConnection(err error) bool {
	return errors.As(err, new(*net.OpError)) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// reasonOf reads an error of x509. Its own texts may name authorities that the client has
// sent, so that they are quoted and cut.
func reasonOf(err error, now time.Time) whyRefused {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return whyRefused{reasonUnknownAuthority, "no authority of the site's trust_pool has issued it, or the client does not send those between"}
	case !errors.As(err, &invalid):
		return whyRefused{reasonInvalid, refusal.Quote(err.Error())}
	}
	switch cert := invalid.Cert; {
	case invalid.Reason == x509.Expired && cert != nil && now.Before(cert.NotBefore):
		return whyRefused{reasonNotYetValid, "a certificate of the chain is not valid before " + cert.NotBefore.UTC().Format(time.RFC3339)}
	case invalid.Reason == x509.Expired && cert != nil:
		return whyRefused{reasonExpired, "a certificate of the chain expired at " + cert.NotAfter.UTC().Format(time.RFC3339)}
	case invalid.Reason == x509.IncompatibleUsage:
		return whyRefused{reasonUsage, "its extended key usage, or that of an authority between, does not allow client authentication"}
	}
	invalid = x509.CertificateInvalidError{Reason: invalid.Reason} // without a detail, which may name its holder
	return whyRefused{reasonInvalid, invalid.Error()}
}

// addressOf is the client's IP address. Behind a PROXY protocol it waits for the client
// to send it.
func addressOf(conn net.Conn) string {
	address := conn.RemoteAddr()
	if address == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return refusal.Quote(address.String()) // of a Unix socket
	}
	return host
}
