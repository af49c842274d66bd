package selftest

import (
	"strings"
	"time"
)

// redirect and uri are the clause about redirect URIs, and what a wrong one gets.
const (
	redirect = "RFC 7591 5, Open Banking DCR: software_redirect_uris"
	uri      = "400 invalid_redirect_uri"
)

func claimRows() []hostile {
	const metadata, clause = "400 invalid_client_metadata", "Open Banking DCR, OBRegistrationProperties"
	claim := func(name string, value any) func(*play, *attempt) error {
		return func(_ *play, a *attempt) error { a.claims[name] = value; return nil }
	}
	return []hostile{
		registering("request that has expired", "RFC 7519 4.1.4", metadata, signaturesOn, func(_ *play, a *attempt) error {
			a.claims["iat"], a.claims["exp"] = past(2*time.Hour), past(time.Hour)
			return nil
		}),
		registering("request of tomorrow", "RFC 7519 4.1.6", metadata, signaturesOn, func(_ *play, a *attempt) error {
			a.claims["iat"], a.claims["exp"] = future(24*time.Hour), future(24*time.Hour+time.Minute)
			return nil
		}),
		registering("request that is good for too long", "max_lifetime", metadata, signaturesOn, claim("exp", future(10*365*24*time.Hour))),
		registering("request with a date in words", clause, metadata, signaturesOn, claim("exp", "tomorrow")),
		registering("request for another bank", "RFC 7519 4.1.3", metadata, signaturesOn, claim("aud", "https://other.bank.invalid")),
		registering("request of another iss", clause, metadata, all(signaturesOn, statementsOn), claim("iss", "somebodyElse")),
		registering("request without jti", clause, metadata, all(signaturesOn, strict("jti")), claim("jti", nil)),
		registering("request without aud", clause, metadata, all(signaturesOn, strict("aud")), claim("aud", nil)),
		registering("request that has registered", "RFC 7519 4.1.7: replay", metadata, all(signaturesOn, func(p *play) string {
			if p.Reregister != nil && p.Reregister.Mode != "allow" && p.Reregister.Mode != "reject" {
				return "reregister " + p.Reregister.Mode + " answers a repetition"
			}
			return ""
		}), func(p *play, a *attempt) error { a.body = []byte(p.acme.usedBody); return nil }),
		registering("software_id of another software", clause, metadata, statementsOn, claim("software_id", "otherSoftware")),
		registering("redirect URI that is not in the statement", redirect, uri, statementsOn, claim("redirect_uris", []string{redirectURI, "https://attacker.invalid/callback"})),
		registering("redirect URI that begins like one of the statement", redirect, uri, statementsOn, claim("redirect_uris", []string{redirectURI + "/../x"})),
		registering("redirect URI of http", redirect, uri, nil, claim("redirect_uris", []string{strings.Replace(redirectURI, "https:", "http:", 1)})),
		registering("redirect URI of localhost", redirect, uri, nil, claim("redirect_uris", []string{"https://localhost/callback"})),
		registering("redirect URI with a fragment", redirect, uri, nil, claim("redirect_uris", []string{redirectURI + "#x"})),
		registering("scope that no role gives", clause, metadata, nil, claim("scope", "openid everything")),
		registering("scope of registration tokens", clause, metadata, nil, claim("scope", "openid dcr_register")),
		registering("grant type implicit", clause, metadata, nil, claim("grant_types", []string{"implicit"})),
		registering("response type token", clause, metadata, nil, claim("response_types", []string{"token"})),
		registering("client authentication none", "FAPI 1 Advanced 5.2.2", metadata, nil, claim("token_endpoint_auth_method", "none")),
		registering("client authentication that is not configured", "token_endpoint_auth_methods", metadata, func(p *play) string {
			if containsAny(p.accept.AuthMethods, "client_secret_post") {
				return "token_endpoint_auth_methods has client_secret_post"
			}
			return ""
		}, claim("token_endpoint_auth_method", "client_secret_post")),
		registering("id tokens with alg none", "FAPI 1 Advanced 8.6", metadata, nil, claim("id_token_signed_response_alg", "none")),
		registering("request objects with alg none", "FAPI 1 Advanced 8.6", metadata, nil, claim("request_object_signing_alg", "none")),
		registering("DN of another certificate", "RFC 8705 2.1.2", metadata, all(certificatesOn, func(p *play) string {
			if p.acme.method != "tls_client_auth" {
				return "token_endpoint_auth_methods without tls_client_auth"
			}
			return ""
		}), claim("tls_client_auth_subject_dn", "CN=somebody else,O=Other Ltd,C=GB")),
	}
}

func containsAny(list []string, values ...string) bool {
	for _, one := range list {
		for _, value := range values {
			if one == value {
				return true
			}
		}
	}
	return false
}
