package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// SoftwareStatement is a directory whose software statements are accepted.
type SoftwareStatement struct {
	// Issuer is the exact iss of its statements. Required.
	Issuer string `json:"issuer"`
	// JWKS is a file with the directory's keys, JWKSURI the address of them. One of
	// the two is required.
	JWKS    string `json:"jwks,omitempty"`
	JWKSURI string `json:"jwks_uri,omitempty"`
	// JWKSHosts are the hosts where a statement's software_jwks_endpoint may be.
	// Default: the host of JWKSURI; required with JWKS.
	JWKSHosts []string `json:"jwks_hosts,omitempty"`
	// PrivateAddresses allows these hosts to be at loopback or private addresses:
	// for a test directory. Default: false, they must be public.
	PrivateAddresses bool `json:"private_addresses,omitempty"`
	// TrustPoolRaw verifies the servers' certificates, a module of
	// tls.ca_pool.source. Default: the system's roots.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`
}

func (s *SoftwareStatement) provision(ctx caddy.Context) (*verify.Issuer, error) {
	if s.Issuer == "" {
		return nil, errors.New("the issuer is missing")
	}
	roots, err := trustPool(ctx, s, s.TrustPoolRaw)
	if err != nil {
		return nil, err
	}
	client := jwks.NewClient(jwks.Options{Roots: roots, PrivateRanges: s.PrivateAddresses, MaxConnections: 16})
	keys, err := keySource(client, s.JWKS, s.JWKSURI)
	if err != nil {
		return nil, err
	}
	hosts := s.JWKSHosts
	if len(hosts) == 0 {
		if s.JWKSURI == "" {
			return nil, errors.New("jwks_hosts is missing: with a jwks file it names the hosts where software_jwks_endpoint may be")
		}
		u, err := url.Parse(s.JWKSURI)
		if err != nil {
			return nil, err
		}
		hosts = []string{u.Hostname()}
	}
	lower := make([]string, len(hosts))
	for i, host := range hosts {
		lower[i] = strings.ToLower(host)
	}
	return &verify.Issuer{Name: s.Issuer, Keys: keys, SoftwareKeys: jwks.NewSources(client, lower, nil).Source}, nil
}

// SignedRequestBody configures protection 4.
type SignedRequestBody struct {
	// JWKS is a file, JWKSURI an address with the keys that sign requests. Default:
	// neither, the keys of the statement's software_jwks_endpoint count.
	JWKS    string `json:"jwks,omitempty"`
	JWKSURI string `json:"jwks_uri,omitempty"`
	// PrivateAddresses and TrustPoolRaw are for JWKSURI, as with SoftwareStatement.
	PrivateAddresses bool            `json:"private_addresses,omitempty"`
	TrustPoolRaw     json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`
}

func (s *SignedRequestBody) provision(ctx caddy.Context) (verify.KeySource, error) {
	if s.JWKS == "" && s.JWKSURI == "" {
		return nil, nil
	}
	roots, err := trustPool(ctx, s, s.TrustPoolRaw)
	if err != nil {
		return nil, err
	}
	return keySource(jwks.NewClient(jwks.Options{Roots: roots, PrivateRanges: s.PrivateAddresses, MaxConnections: 16}), s.JWKS, s.JWKSURI)
}

// maxKeyFile is the size of a JWKS file, at most.
const maxKeyFile = jwks.DefaultMaxBytes

// keySource is a file or an address, exactly one of them.
func keySource(client *jwks.Client, file, address string) (verify.KeySource, error) {
	switch {
	case (file == "") == (address == ""):
		return nil, errors.New("exactly one of jwks and jwks_uri is required")
	case address != "":
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return nil, fmt.Errorf("jwks_uri %q: must be an https URL", address)
		}
		return jwks.NewSource(client, address, nil), nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("jwks %s: larger than %d bytes", file, maxKeyFile)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	keys, err := verify.ParseJWKS(data)
	if err != nil {
		return nil, fmt.Errorf("jwks %s: %w", file, err)
	}
	return verify.FixedKeys(keys), nil
}
