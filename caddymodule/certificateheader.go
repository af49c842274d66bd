package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// CertificateHeader is a header that carries a client's certificate.
type CertificateHeader struct {
	// Form is rfc9440, nginx, envoy, traefik, haproxy, apache, alb or pem; see
	// verify.CertificateHeader. Required.
	Form string `json:"form"`
	// Name is the header's. Default: the form's usual one.
	Name string `json:"name,omitempty"`
}

// read checks the configuration. nil is RFC 9440.
func (c *CertificateHeader) read() (verify.CertificateHeader, error) {
	if c == nil {
		return verify.NewCertificateHeader(verify.FormRFC9440, "")
	}
	if c.Name != "" {
		if err := checkHeaderName(c.Name); err != nil {
			return verify.CertificateHeader{}, err
		}
	}
	return verify.NewCertificateHeader(c.Form, http.CanonicalHeaderKey(c.Name))
}

// taken are headers that mean something else.
var taken = []string{
	"host", "authorization", "cookie", "connection", "upgrade", "te", "trailer", "transfer-encoding", "forwarded", "via",
	"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-fapi-interaction-id",
}

var errHeaderName = errors.New("header name: must have only letters, digits and dashes (Caddy removes headers with other characters), and must not be a header with another meaning")

func checkHeaderName(name string) error {
	lower := strings.ToLower(name)
	if strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(name) > gateway.MaxHeaderName-len("-Chain") ||
		slices.Contains(taken, lower) || strings.HasPrefix(lower, "content-") || strings.HasPrefix(lower, "accept") {
		return fmt.Errorf("%q: %w", name, errHeaderName)
	}
	return nil
}

// SharedHeader is a header with a secret that only the gateway and the AS know.
type SharedHeader struct {
	// Name of the header. Required.
	Name string `json:"name"`
	// Secret must be a placeholder: {env.X} or {file.X}. Required.
	Secret string `json:"secret"`

	value string
}

func (s *SharedHeader) provision() (err error) {
	if s == nil {
		return nil
	}
	if s.Name == "" || s.Secret == "" {
		return errors.New("shared_header: name and secret are required")
	}
	if err := checkHeaderName(s.Name); err != nil {
		return fmt.Errorf("shared_header: %w", err)
	}
	s.Name = http.CanonicalHeaderKey(s.Name)
	if s.value, err = secret("shared_header "+s.Name, s.Secret); err != nil {
		return err
	}
	if len(s.value) < minShared || strings.ContainsFunc(s.value, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("shared_header %s: the secret must be at least %d visible ASCII characters", s.Name, minShared)
	}
	return nil
}

// minShared is the length of a shared secret, at least: whoever guesses it is anybody.
const minShared = 16

func (s *SharedHeader) fields() map[string]string {
	if s == nil {
		return nil
	}
	return map[string]string{s.Name: s.value}
}

func (s *SharedHeader) secrets() []string {
	if s == nil {
		return nil
	}
	return []string{s.value}
}
