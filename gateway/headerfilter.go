package gateway

import "bytes"

// alwaysPass are the headers that the gateway reads, or that say how a body is read.
var alwaysPass = []string{
	"Accept", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "If-None-Match", "Upgrade", "X-Fapi-Interaction-Id",
}

// ordinary names need no closer look: they are most of all headers.
var ordinary = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Authorization": true, "Cache-Control": true, "Connection": true,
	"Content-Length": true, "Content-Type": true, "Cookie": true, "Origin": true, "Referer": true, "User-Agent": true,
	"X-Fapi-Interaction-Id": true, "X-Forwarded-For": true,
}

// HeaderFilter removes the headers of requests that could speak for the gateway or for what
// stands before it: those of the gateway that the configuration names, which nobody else may
// send, and what operators say about others.
type HeaderFilter struct {
	names map[string]bool // folded
	// keep and pass are folded too; pass is nil where all may pass.
	keep, pass map[string]bool
	// FromProxy: a load balancer may send certificates, and what was removed is looked at.
	FromProxy bool
}

// Add removes headers whoever sends them: the gateway sets them itself.
func (o *HeaderFilter) Add(names ...string) { addFolded(&o.names, names) }

// Keep lets headers pass that could speak for somebody.
func (o *HeaderFilter) Keep(names ...string) { addFolded(&o.keep, names) }

// Pass lets only these headers pass, beside those that the gateway reads. None changes nothing.
func (o *HeaderFilter) Pass(names ...string) {
	if len(names) > 0 {
		addFolded(&o.pass, alwaysPass)
		addFolded(&o.pass, names)
	}
}

// foldHeader makes one form of the characters of a header's name: what is neither a letter
// nor a digit counts as a dash, because servers that make variables of names read an
// underscore there, or a dot, or every mark.
func foldHeader(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c | 0x20
	case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		return c
	}
	return '-'
}

// foldedHeader is a name in that form.
func foldedHeader(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = foldHeader(c)
	}
	return string(folded)
}

func addFolded(to *map[string]bool, names []string) {
	if *to == nil && len(names) > 0 {
		*to = map[string]bool{}
	}
	for _, name := range names {
		(*to)[foldedHeader(name)] = true
	}
}

// MaxHeaderName is the longest name that is looked at; no known one is near it.
const MaxHeaderName = 96

// isForged tells whether a header field from outside may pass for a certificate, a
// user, another path, or for a header of the gateway's own.
func (o *HeaderFilter) isForged(name string) bool {
	if o.pass == nil && ordinary[name] {
		return false
	}
	if len(name) > MaxHeaderName {
		return o.pass != nil
	}
	var buf [MaxHeaderName]byte
	for i := range len(name) {
		buf[i] = foldHeader(name[i])
	}
	folded := buf[:len(name)]
	switch {
	case o.names[string(folded)]:
		return true
	case o.keep[string(folded)]:
		return false
	case o.pass != nil && !o.pass[string(folded)]:
		return true
	}
	return speaks(folded)
}

// speaks tells whether a folded name is one of those by which servers and proxies tell
// each other of a certificate, a user or another path.
func speaks(name []byte) bool {
	if rest, ok := bytes.CutPrefix(name, []byte("x-forwarded-")); ok {
		switch string(rest) {
		case "for", "proto", "host": // Caddy's proxy replaces them
			return false
		case "port":
			return false
		}
		return true
	}
	if string(name) == "forwarded" || string(name) == "x-user" { // RFC 7239
		return true
	}
	for _, prefix := range speakingPrefixes {
		if len(name) >= len(prefix) && string(name[:len(prefix)]) == prefix {
			return true
		}
	}
	for word := range bytes.SplitSeq(name, []byte("-")) {
		switch string(word) {
		case "cert", "certs", "certificate", "certificates", "x509", "dn", "tls", "ssl", "mtls", "clientcert", "sslclient", "peercert", "crt", "pem", "der", "x5c", "x5t":
			return true
		}
	}
	for _, part := range speakingParts {
		if bytes.Contains(name, part) {
			return true
		}
	}
	return false
}

// speakingPrefixes begin (folded) the names that servers, load balancers and identity
// proxies use.
var speakingPrefixes = []string{
	// Certificates: Traefik is under x-forwarded-; nginx, Apache, HAProxy, AWS and others.
	"x-ssl", "ssl", "x-client-ssl", "x-amzn-mtls", "x-tls", "x-subject", "subject-", "x-cert", "x-peer", "peer-",
	"-wscc", "-wssc", "-wsis", // WebSphere ($WSCC)
	// Another path, host or method.
	"x-original-", "x-rewrite-", "x-http-method", "http-method", "x-method-override", "x-envoy-original", "x-replaced-path", "x-request-uri", "request-uri", "x-servlet-path", "x-waws-unencoded",
	// Users, as CGI, Authelia, oauth2-proxy, Grafana, authentik, Google, Azure, AWS, Cloudflare,
	// Pomerium, Vouch, Tailscale, Kong, Envoy, WebSEAL, SiteMinder and Oracle tell of them.
	"remote-", "x-remote-", "x-auth-request-", "x-auth-user", "x-authenticated", "x-webauth", "x-authentik", "x-goog-authenticated", "x-goog-iap",
	"x-ms-client-principal", "x-ms-token", "x-amzn-oidc", "cf-access", "x-pomerium", "x-vouch", "tailscale-", "x-consumer-", "x-credential-",
	"x-userinfo", "x-jwt-payload", "x-proxy-user", "iv-user", "iv-groups", "iv-creds", "sm-user", "sm-universalid", "oam-", "x-oam", "smuser", "osso-", "gap-", "x-spiffe",
}

// speakingParts make such a header of every name that holds one: Client-Cert (RFC
// 9440), X-ARR-ClientCert, WL-Proxy-Client-Cert, CF-Client-Cert-Der-Base64 and so on.
var speakingParts = [][]byte{
	[]byte("client-cert"), []byte("clientcert"), []byte("mutual-auth"), []byte("mtls"), []byte("ssl-client"), []byte("sslclient"), []byte("tls-client"),
	[]byte("client-dn"), []byte("client-s-dn"), []byte("client-verif"), []byte("client-subject"), []byte("client-issuer"), []byte("client-serial"),
	[]byte("client-san"), []byte("client-cn"), []byte("client-fingerprint"), []byte("client-thumbprint"), []byte("remote-user"),
}
