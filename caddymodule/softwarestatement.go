package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// SoftwareStatement is a directory whose software statements are accepted.
type SoftwareStatement struct {
	// Issuer is the exact iss of its statements. Required.
	Issuer string `json:"issuer"`
	// JWKS is a file with the directory's keys, which is read again when it changes,
	// JWKSURI the address of them. One of the two is required.
	JWKS    string `json:"jwks,omitempty"`
	JWKSURI string `json:"jwks_uri,omitempty"`
	// JWKSHosts are the hosts where a statement's software_jwks_endpoint may be.
	// Default: the host of JWKSURI; required with JWKS.
	JWKSHosts []string `json:"jwks_hosts,omitempty"`
	// Algorithms its statements may be signed with. Default: PS256, ES256.
	Algorithms []string `json:"algorithms,omitempty"`
	// MaxAge refuses statements whose iat is older. Default: 0, no limit: the Open
	// Banking directory's are used for months.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
	// OrgStatus, SoftwareMode and OrgID are the values of org_status, software_mode
	// and org_id that are accepted. Default: any.
	OrgStatus    []string `json:"org_status,omitempty"`
	SoftwareMode []string `json:"software_mode,omitempty"`
	OrgID        []string `json:"org_id,omitempty"`
	// UnlistedRedirectURIs accepts a statement without software_redirect_uris; the
	// request's count then. Default: false.
	UnlistedRedirectURIs bool `json:"unlisted_redirect_uris,omitempty"`
	// RevokedKeys refuses requests whose key the statement's
	// software_jwks_revoked_endpoint lists, and all while there is no such list.
	// Default: false, revoked keys are those that software_jwks_endpoint no longer has.
	RevokedKeys bool `json:"revoked_keys,omitempty"`
	// SelfSigned says that the issuer is a TPP's own organisation, which signs its
	// statements with the keys of JWKS: OrgID is required, because such a statement
	// may name any organisation. Unsigned also accepts them without a signature, in
	// a request that is signed with these keys. Default: false.
	SelfSigned bool `json:"self_signed,omitempty"`
	Unsigned   bool `json:"unsigned,omitempty"`
	// PrivateAddresses allows these hosts to be at loopback or private addresses:
	// for a test directory. Default: false, they must be public.
	PrivateAddresses bool `json:"private_addresses,omitempty"`
	// Proxy is the way to these hosts. Default: that of the workspace.
	Proxy *ForwardProxy `json:"proxy,omitempty"`
	// TrustPoolRaw verifies the servers' certificates, a module of
	// tls.ca_pool.source. Default: the system's roots.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	keys *probedKeys
	// fresh fetches its keys once more, apart from those in use.
	fresh gateway.FreshKeys
	// sets are the key sets that it has fetched.
	sets []keySets
}

func (s *SoftwareStatement) provision(ctx caddy.Context, app *App, proxy *ForwardProxy) (*verify.Issuer, error) {
	switch {
	case s.Issuer == "":
		return nil, errors.New("the issuer is missing")
	case s.MaxAge < 0:
		return nil, errors.New("max_age: must be positive")
	case s.SelfSigned && len(s.OrgID) == 0:
		return nil, errors.New("self_signed: must have org_id, because its statements could name any organisation otherwise")
	case s.Unsigned && !s.SelfSigned:
		return nil, errors.New("self_signed: only a TPP's own statements may be unsigned")
	}
	if err := subset("algorithms", s.Algorithms, verify.SupportedAlgorithms); err != nil {
		return nil, err
	}
	trust := trustName(s.TrustPoolRaw)
	roots, err := trustPool(ctx, s, s.TrustPoolRaw)
	if err != nil {
		return nil, err
	}
	proxy, err = s.Proxy.or(ctx, proxy)
	if err != nil {
		return nil, err
	}
	hosts, missing := s.hosts()
	client := jwks.NewClient(proxy.options(jwks.Options{
		Roots: roots, PrivateRanges: s.PrivateAddresses, MaxConnections: 16, LeftOut: newLeftOutKeys(app.log, "software_statement").tell,
	}, append(hosts, hostOf(s.JWKSURI))...))
	kept := func(what string) jwks.Keeper {
		return app.keptKeysOf(what, s.Issuer, s.JWKSURI, slices.Sorted(slices.Values(hosts)), s.PrivateAddresses, trust)
	}
	keys, err := app.keySource(client, s.JWKS, s.JWKSURI, kept("directory"))
	if err = cmp.Or(err, missing); err != nil {
		return nil, err
	}
	s.keys, s.fresh = newProbedKeys(client, s.JWKSURI), s.freshKeys(client, hosts)
	software := jwks.NewSources(client, hosts, nil).KeptBy(kept("software"))
	s.sets = []keySets{oneKeySet(KeysOfDirectory, s.Issuer, keys, kept("directory")), {KeysOfSoftware, s.Issuer, kept("software"), software.All}}
	var revoked func(string) (verify.KeySource, error)
	if s.RevokedKeys {
		sources := jwks.NewRevokedSources(client, hosts, nil).KeptBy(kept("revoked"))
		s.sets = append(s.sets, keySets{KeysRevoked, s.Issuer, kept("revoked"), sources.All})
		revoked = sources.Source
	}
	return &verify.Issuer{
		RevokedKeys: revoked,
		Name:        s.Issuer, Keys: keys, SoftwareKeys: software.Source,
		Algorithms: s.Algorithms, MaxAge: time.Duration(s.MaxAge), Demands: s.demands(),
		UnlistedRedirectURIs: s.UnlistedRedirectURIs, Unsigned: s.Unsigned,
	}, nil
}

// hosts are those where a statement's keys may be, in lower case.
func (s *SoftwareStatement) hosts() (hosts []string, err error) {
	for _, host := range s.JWKSHosts {
		hosts = append(hosts, strings.ToLower(host))
	}
	if len(hosts) > 0 {
		return hosts, nil
	}
	if s.JWKSURI == "" {
		return nil, errors.New("jwks_hosts is missing: with a jwks file it names the hosts where software_jwks_endpoint may be")
	}
	u, err := url.Parse(s.JWKSURI)
	if err != nil {
		return nil, err
	}
	return []string{strings.ToLower(u.Hostname())}, nil
}

// demands are the claims that a statement must have, in a fixed order.
func (s *SoftwareStatement) demands() (out []verify.Demand) {
	for _, d := range []verify.Demand{{Claim: "org_id", Values: s.OrgID}, {Claim: "org_status", Values: s.OrgStatus}, {Claim: "software_mode", Values: s.SoftwareMode}} {
		if len(d.Values) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// SignedRequestBody configures protection 4.
type SignedRequestBody struct {
	// Off switches it off: a request is bare JSON then. Default: false.
	Off bool `json:"off,omitempty"`
	// JWKS is a file, JWKSURI an address with the keys that sign requests. Default:
	// neither, the keys of the statement's software_jwks_endpoint count.
	JWKS    string `json:"jwks,omitempty"`
	JWKSURI string `json:"jwks_uri,omitempty"`
	// PrivateAddresses, Proxy and TrustPoolRaw are for JWKSURI, as with SoftwareStatement.
	PrivateAddresses bool            `json:"private_addresses,omitempty"`
	Proxy            *ForwardProxy   `json:"proxy,omitempty"`
	TrustPoolRaw     json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	keys *probedKeys
	// sets are the key sets that it has fetched.
	sets []keySets
}

func (s *SignedRequestBody) provision(ctx caddy.Context, app *App, proxy *ForwardProxy) (verify.KeySource, error) {
	if s.JWKS == "" && s.JWKSURI == "" {
		return nil, nil
	}
	kept := app.keptKeysOf("request", s.JWKSURI, s.PrivateAddresses, trustName(s.TrustPoolRaw))
	roots, err := trustPool(ctx, s, s.TrustPoolRaw)
	if err != nil {
		return nil, err
	}
	if proxy, err = s.Proxy.or(ctx, proxy); err != nil {
		return nil, err
	}
	client := jwks.NewClient(proxy.options(jwks.Options{
		Roots: roots, PrivateRanges: s.PrivateAddresses, MaxConnections: 16, LeftOut: newLeftOutKeys(app.log, "signed_request_body").tell,
	}, hostOf(s.JWKSURI)))
	s.keys = newProbedKeys(client, s.JWKSURI)
	keys, err := app.keySource(client, s.JWKS, s.JWKSURI, kept)
	s.sets = []keySets{oneKeySet(KeysOfRequests, "", keys, kept)}
	return keys, err
}

// keySource is a file or an address, exactly one of them.
func (app *App) keySource(client *jwks.Client, file, address string, kept jwks.Keeper) (verify.KeySource, error) {
	switch {
	case (file == "") == (address == ""):
		return nil, errors.New("exactly one of jwks and jwks_uri is required")
	case address != "":
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return nil, fmt.Errorf("jwks_uri %q: must be an https URL", address)
		}
		return jwks.NewSource(client, address, nil).KeptBy(kept), nil
	}
	return newKeyFile(file, &app.files)
}
