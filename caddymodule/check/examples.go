package check

import (
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// reserved are the ends of host names that are for examples (RFC 2606), and the one in that
// of this repository.
var reserved = []string{"as.internal", ".example", ".invalid", "example.com", "example.org", "example.net"}

// exampleAudience is that of the example in this repository.
const exampleAudience = "0015800001HQQrZAAX"

func exampleValues(i *inspection, w *workspace) {
	of := func(directive, member, value string) {
		i.foundIn(w, directive, member, "the value of an example is still there: "+value,
			"Nobody can reach a server of that name, and requests that name it are not for this bank.", "write the bank's own value in place of "+value)
	}
	isReserved := func(host string) bool {
		return slices.ContainsFunc(reserved, func(end string) bool { return strings.HasSuffix("."+host, "."+strings.TrimPrefix(end, ".")) })
	}
	for _, host := range w.hosts {
		if isReserved(host) {
			of("the site's address", "", host)
		}
	}
	urls := map[string]string{"mtls_origin": w.MTLSOrigin, "authorization_server": w.AuthorizationServer.URL}
	for _, member := range []string{"mtls_origin", "authorization_server"} {
		if host := hostOf(urls[member]); isReserved(host) {
			of(member, member, host)
		}
	}
	eachDirectory(w, func(s *caddymodule.SoftwareStatement, name, member string) {
		if host := hostOf(s.JWKSURI); isReserved(host) {
			of(name+", jwks_uri", member+"/jwks_uri", host)
		}
	})
	if slices.Contains(w.Audience, exampleAudience) {
		of("audience", "audience", exampleAudience)
	}
}
