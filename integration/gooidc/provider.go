package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/edge"
)

// tokenLifetime of access tokens, in seconds.
const tokenLifetime = 3600

// psu is the payment service user who is always logged in and consents to all.
const psu = "psu"

func newProvider(config authserverprocess.Config, store *store) (http.Handler, error) {
	keys, err := newKeys(config.SigningKey)
	if err != nil {
		return nil, err
	}
	fetcher, err := newFetcher(config.JWKSCA)
	if err != nil {
		return nil, err
	}
	gateway, registrar := staticClients(config)

	options := append(registrationOptions(config, store),
		provider.WithStaticClients(gateway, registrar),
		provider.WithScopes(goidc.ScopeOpenID, goidc.NewScope("accounts"), goidc.NewScope("payments"),
			goidc.NewScope("fundsconfirmations"), goidc.NewScope("dcr_register")),
		provider.WithAuthCodeGrant(store, goidc.ResponseTypeCode, goidc.ResponseTypeCodeAndIDToken),
		provider.WithClientCredentialsGrant(),
		provider.WithRefreshTokenGrant(store),
		provider.WithPAR(store),
		provider.WithCIBAGrant(store, goidc.CIBADeliveryModePoll, goidc.CIBADeliveryModePing),
		provider.WithCIBAJAR(goidc.PS256, goidc.ES256),
		provider.WithJWTBearerGrant(func(context.Context, string) (string, error) {
			return "", errors.New("nobody asserts anything here: clients only register for it")
		}),
		provider.WithPolicies(goidc.NewPolicy("approve", approvable, approve)),

		provider.WithTokenAuthnMethods(goidc.AuthnMethodTLS, goidc.AuthnMethodPrivateKeyJWT, goidc.AuthnMethodSecretBasic),
		provider.WithPrivateKeyJWTSignatureAlgs(goidc.PS256, goidc.ES256),
		// The default of 600 s refuses the 30 minutes that tools put into an assertion.
		provider.WithJWTLifetime(3600),
		provider.WithConsumeJTIFunc(store.consumeJTI), // without it a replay is 200
		provider.WithMTLS(config.Issuer, clientCertificate),
		provider.WithTLSTokenBinding(),
		provider.WithHTTPClientFunc(func(context.Context) *http.Client { return fetcher }),

		provider.WithIDTokenSignatureAlgs(goidc.PS256, goidc.ES256),
		provider.WithJAR(goidc.PS256, goidc.ES256),
		provider.WithPKCE(goidc.CodeChallengeMethodSHA256),
		provider.WithTokenOptions(tokenOptions(config.AccessTokens)),
		// The library puts no aud into a JWT, which RFC 9068 2.2 requires.
		provider.WithTokenClaims(func(context.Context, *goidc.Token, *goidc.Grant) map[string]any {
			return map[string]any{goidc.ClaimAudience: config.Issuer}
		}),
		provider.WithTokenIntrospection(func(_ context.Context, c *goidc.Client, info goidc.TokenInfo) bool {
			return c.ID == config.GatewayID || c.ID == info.ClientID
		}),
		// The library itself refuses foreign tokens: 403.
		provider.WithTokenRevocation(func(context.Context, *goidc.Client) bool { return true }),

		provider.WithHandleErrorFunc(func(_ context.Context, err error) {
			slog.Info("refused", "error", err) // the answer never names the field
		}),
	)
	op, err := provider.New(config.Issuer, store, func(context.Context) (goidc.JSONWebKeySet, error) { return keys, nil }, options...)
	if err != nil {
		return nil, err
	}
	return op.Handler(), nil
}

func staticClients(config authserverprocess.Config) (gateway, registrar *goidc.Client) {
	meta := goidc.ClientMeta{
		TokenAuthnMethod: goidc.AuthnMethodSecretBasic,
		GrantTypes:       []goidc.GrantType{goidc.GrantClientCredentials},
		ScopeIDs:         "openid",
	}
	gateway = &goidc.Client{ID: config.GatewayID, Secret: config.GatewaySecret, ClientMeta: meta}
	meta.ScopeIDs = "dcr_register"
	registrar = &goidc.Client{ID: config.RegistrarID, Secret: config.RegistrarSecret, ClientMeta: meta}
	return gateway, registrar
}

func approvable(*http.Request, *goidc.AuthnSession, *goidc.Client) bool { return true }

func approve(_ http.ResponseWriter, _ *http.Request, s *goidc.AuthnSession, _ *goidc.Client) (goidc.Status, error) {
	s.Subject = psu
	s.GrantedScopes = s.Scopes
	return goidc.StatusSuccess, nil
}

func tokenOptions(kind string) goidc.TokenOptionsFunc {
	return func(context.Context, *goidc.Grant, *goidc.Client) goidc.TokenOptions {
		if kind == "jwt" {
			return goidc.NewJWTTokenOptions(goidc.PS256, tokenLifetime)
		}
		return goidc.NewOpaqueTokenOptions(tokenLifetime)
	}
}

// newKeys are the signing keys of this run.
func newKeys(signingKey string) (goidc.JSONWebKeySet, error) {
	rsaKey, err := newRSAKey(signingKey)
	if err != nil {
		return goidc.JSONWebKeySet{}, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return goidc.JSONWebKeySet{}, err
	}
	return goidc.JSONWebKeySet{Keys: []goidc.JSONWebKey{
		{Key: rsaKey, KeyID: "ps256", Algorithm: string(goidc.PS256), Use: "sig"},
		{Key: ecKey, KeyID: "es256", Algorithm: string(goidc.ES256), Use: "sig"},
	}}, nil
}

// newRSAKey reads Config.SigningKey, or makes a key if there is none.
func newRSAKey(signingKey string) (any, error) {
	if signingKey == "" {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	block, _ := pem.Decode([]byte(signingKey))
	if block == nil {
		return nil, errors.New("signing_key is not PEM")
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}

// newFetcher is the client for the clients' jwks_uri.
func newFetcher(roots string) (*http.Client, error) {
	var pool *x509.CertPool // nil: the system's
	if roots != "" {
		var err error
		if pool, err = edge.ReadRoots(roots); err != nil {
			return nil, err
		}
	}
	return &http.Client{
		Timeout:       5 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// registrationOptions are those of dynamic client registration, behind an initial access
// token.
func registrationOptions(config authserverprocess.Config, store *store) []provider.Option {
	return []provider.Option{
		provider.WithDCR(store),
		provider.WithDCRTokenRotation(),
		provider.WithClientIDFunc(clientID),
		provider.WithDCRValidateInitialTokenFunc(func(_ context.Context, token string) error {
			if subtle.ConstantTimeCompare([]byte(token), []byte(config.InitialAccessToken)) != 1 {
				return errors.New("unknown initial access token")
			}
			return nil
		}),
	}
}
