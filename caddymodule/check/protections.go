package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// What protects registrations, and may be switched off in words.

func unprotected(i *inspection, w *workspace) {
	if w.Unprotected {
		i.foundIn(w, "unprotected", "unprotected", "all four protections are off",
			"Anybody who reaches the site can register a client.", "take unprotected away, and let client_certificate, access_token, software_statement and signed_request_body be on")
	}
}

func clientCertificateOff(i *inspection, w *workspace) {
	if w.ClientCertificate == "off" && !w.Unprotected {
		i.foundIn(w, "client_certificate", "client_certificate", "registration demands no client certificate",
			"A TPP proves who it is at the transport layer with its certificate (OBWAC or QWAC). Without it, somebody who holds a captured request can send it.", "take client_certificate off away")
	}
}

func accessTokenOff(i *inspection, w *workspace) {
	if w.AccessToken != nil && w.AccessToken.Off && !w.Unprotected {
		i.foundIn(w, "access_token", "access_token", "registration demands no access token",
			"With a token, only TPPs that the bank has admitted can register. Without it, every TPP of the directory can.", "write access_token dcr_register, unless every TPP of the directory may register")
	}
}

func softwareStatementOff(i *inspection, w *workspace) {
	if w.NoSoftwareStatement && !w.Unprotected {
		i.foundIn(w, "software_statement", "no_software_statement", "registration demands no software statement",
			"The directory vouches for a TPP, its roles and its redirect URIs with the statement. Without it, the gateway believes what the request says.", "write software_statement <issuer> with the jwks_uri of the directory")
	}
}

func signedRequestOff(i *inspection, w *workspace) {
	if w.SignedRequestBody != nil && w.SignedRequestBody.Off && !w.Unprotected {
		i.foundIn(w, "signed_request_body", "signed_request_body", "registration demands no signed request",
			"A software statement is a bearer document: the signature of the request ties it to the software that sends it.", "take signed_request_body off away")
	}
}

func signingKeysShared(i *inspection, w *workspace) {
	if s := w.SignedRequestBody; s != nil && !s.Off && s.JWKS+s.JWKSURI != "" && !w.Unprotected {
		i.foundIn(w, "signed_request_body", "signed_request_body", "one set of keys signs the requests of every software",
			"Whoever holds one of these keys can sign for any software of which it has a statement.", "write signed_request_body alone: the keys of software_jwks_endpoint count then")
	}
}

func endpointCertificateOptional(i *inspection, w *workspace) {
	if w.EndpointCertificate == "optional" || w.EndpointCertificate == "" && w.ClientCertificate == "off" {
		i.foundIn(w, "endpoint_certificate", "endpoint_certificate", "clients need no certificate at the token endpoint unless they authenticate with it",
			"FAPI 1 Advanced 5.2.2 demands one, to which tokens are bound. Without it a stolen assertion, secret or token is enough.", "write endpoint_certificate required")
	}
}

func registrationPassthrough(i *inspection, w *workspace) {
	if w.ASRegistration == "passthrough" {
		i.foundIn(w, "as_registration", "as_registration", "the registration endpoint of the authorization server is reachable through this site",
			"Whoever registers there passes none of the gateway's checks, and is in no record of it.", "take as_registration passthrough away")
	}
}

func rateLimitOff(i *inspection, w *workspace) {
	if w.RateLimit != nil && w.RateLimit.Off {
		i.foundIn(w, "rate_limit", "rate_limit", "nothing limits how often a TPP may send requests",
			"Each registration costs signatures, fetches and exchanges with the authorization server.", "take rate_limit off away, or write rate_limit <requests> <duration>")
	}
}

func fairShareOff(i *inspection, w *workspace) {
	if w.FairShare == "off" {
		i.foundIn(w, "fair_share", "fair_share", "one organisation may use all the capacity",
			"A single TPP that sends much, or makes the authorization server hang, stops all others. The option is for load tests.", "take fair_share off away")
	}
}

func storeShareOff(i *inspection, w *workspace) {
	for _, limit := range []struct {
		word string
		off  bool
	}{{"clients_per_software", w.ClientsPerSoftware < 0}, {"bytes_per_organisation", w.BytesPerOrganisation < 0}} {
		if limit.off {
			i.foundIn(w, limit.word, limit.word, limit.word+" is off",
				"What a registration writes stays. One TPP can fill the disk of the store, and then nobody can register.", "take "+limit.word+" off away, or write a number")
		}
	}
}

func statementRollback(i *inspection, w *workspace) {
	if w.StatementRollback == "allow" {
		i.foundIn(w, "statement_rollback", "statement_rollback", "an older software statement than the newest one is accepted",
			"Statements do not expire. An old one brings back roles and redirect URIs that the directory has removed.", "take statement_rollback allow away")
	}
}

func revocationUnchecked(i *inspection, w *workspace) {
	if len(w.CRL) == 0 && w.ClientCertificate != "off" {
		i.foundIn(w, "crl", "crl", "nobody checks whether a client certificate was revoked",
			"The TLS handshake does not check it. A stolen key works until its certificate expires.", "write crl <url> for each CA of trust_pool; openssl x509 -noout -ext crlDistributionPoints of a TPP's certificate shows the addresses")
	}
}

func revocationSoft(i *inspection, w *workspace) {
	if len(w.CRL) > 0 && w.CRLMode != "strict" {
		i.foundIn(w, "crl_mode", "crl_mode", "a certificate passes while there is no current revocation list of its CA",
			"Whoever keeps the gateway from fetching the list keeps a revoked certificate in use.", "write crl_mode strict where that is worth an outage of TPPs while the CA is down")
	}
}

func algorithmWeak(i *inspection, w *workspace) {
	look := func(directive, member string, algorithms []string) {
		for _, a := range algorithms {
			if a != "PS256" && a != "ES256" {
				i.foundIn(w, directive, member, "the algorithm "+a+" may sign",
					"FAPI 1 Advanced 8.6 allows PS256 and ES256 only. RSA with PKCS #1 v1.5 (RS256) is forbidden there.", "write algorithms PS256 ES256, or leave algorithms out")
			}
		}
	}
	look("algorithms", "algorithms", w.Algorithms)
	eachDirectory(w, func(s *caddymodule.SoftwareStatement, name, member string) {
		look(name+", algorithms", member+"/algorithms", s.Algorithms)
	})
}

func requestLifetimeLong(i *inspection, w *workspace) {
	if time.Duration(w.MaxLifetime) > 24*time.Hour {
		i.foundIn(w, "max_lifetime", "max_lifetime", fmt.Sprintf("a signed request may be valid for %v", time.Duration(w.MaxLifetime)),
			"A request that somebody has captured can be sent until then.", "write max_lifetime 1h, or leave it out")
	}
}

func audienceMissing(i *inspection, w *workspace) {
	if len(w.Audience) == 0 {
		i.foundIn(w, "audience", "audience", "a request must name the issuer as its audience",
			"Many TPPs write the bank's organisation id at the directory into aud, as the Open Banking specification has it. The gateway refuses their requests.", "write audience <the bank's organisation id at the directory>")
	}
}

func asErrorsPassed(i *inspection, w *workspace) {
	if w.AuthorizationServer.ASErrors == "pass" {
		i.foundIn(w, "authorization_server, as_errors", "authorization_server/as_errors", "TPPs get the authorization server's own error texts",
			"These may name hosts, files and classes of the bank.", "take as_errors pass away: the log has the texts")
	}
}

func policyShadow(i *inspection, w *workspace) {
	for n, p := range w.Policies {
		if p != nil && p.Shadow {
			i.foundIn(w, "policy", fmt.Sprintf("policies/%d", n), "a policy is evaluated in shadow and refuses nothing",
				"It only reports whom it would refuse.", "take shadow away when the audit trail (would_refuse) shows whom you expect")
		}
	}
}

func tokenNotRevoked(i *inspection, w *workspace) {
	if (w.AccessToken == nil || !w.AccessToken.Off) && (w.AccessToken == nil || w.AccessToken.Client == nil) {
		i.foundIn(w, "access_token", "access_token", "the client that the registration tokens belong to is not configured",
			"A token registers once here, but stays valid at the authorization server: most servers let only its own client revoke it.", "write client <id> {env.<NAME>} in the block of access_token")
	}
}

func introspectionMissing(i *inspection, w *workspace) {
	if as := w.AuthorizationServer; as.Client == nil && as.Validate != authserver.JWT {
		i.foundIn(w, "authorization_server, client", "authorization_server/client", "the gateway has no client at the authorization server",
			"It can verify only access tokens that are signed JWTs. Of opaque ones it does not know whose they are: a suspended client goes on using them.", "write client <id> {env.<NAME>} in authorization_server, or validate jwt where that is meant")
	}
}

func knownClientsMissing(i *inspection, w *workspace) {
	if w.UnknownClients == nil || w.UnknownClients.Known == "" {
		i.foundIn(w, "unknown_clients", "unknown_clients", "the bank's own clients are not named",
			"After a declared restore or an accepted loss the gateway refuses clients that it does not know, until an operator confirms.", "write unknown_clients pass known <file> with their client_ids, one in a line")
	}
}

func clientIDsOfAS(i *inspection, w *workspace) {
	if w.AuthorizationServer.Provision.ClientIDHeader == "" {
		i.foundIn(w, "authorization_server, provision rfc7591", "authorization_server/provision", "the authorization server chooses the client ids",
			"Conformance tools refuse ids that are longer than 36 characters or need escaping in a path. After a lost answer the server may hold a client that nobody knows.", "write client_id_header <name> where the server takes the id from a header; elsewhere look at the id of a first registration")
	}
}

func serverTrustsAnybody(i *inspection, w *workspace) {
	if as := w.AuthorizationServer; as.SharedHeader == nil && as.TLSClientAuth == nil {
		i.foundIn(w, "authorization_server", "authorization_server", "the authorization server cannot tell the gateway's requests from others",
			"Whoever reaches it directly can send the certificate header of any client. Then the network alone prevents that.", "write shared_header <name> {env.<NAME>} or tls_client_auth <certificate> <key> in authorization_server, and have the server refuse requests without it")
	}
}

func checksOff(i *inspection) {
	if i.global.Checks == "off" {
		i.found(Finding{Directive: "openbanking_dcr, checks", Place: "apps/openbanking_dcr/checks", Found: "the gateway does not try its servers and credentials by itself",
			Why: "A wrong secret, path or CA looks like a short outage to TPPs, and like nothing to operators.", Write: "take checks off away"})
	}
}

func severalOnSite(i *inspection, w *workspace) {
	for _, other := range i.workspaces {
		if other != w && other.Workspace < w.Workspace && other.server == w.server && slices.Equal(other.hosts, w.hosts) {
			i.foundIn(w, "openbanking_dcr", "", "the site has the workspace "+other.Workspace+" too",
				"Neither issues tokens until the gateway has reached the authorization servers of both once.", "give each workspace a site of its own")
		}
	}
}
