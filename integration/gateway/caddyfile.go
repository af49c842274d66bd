// Package gateway runs Caddy with the plugin as a process of its own, with the
// configuration that operators begin with.
package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// Setting is what differs between Caddyfile.example and a machine where
// everything runs on loopback. File names should be absolute.
type Setting struct {
	// Port of the https site on localhost, Admin the address of Caddy's admin API.
	Port  int
	Admin string
	// StoreDirectory is the registry's.
	StoreDirectory string
	// Certificate and Key are the site's, ClientRoots verify the TPPs'.
	Certificate, Key, ClientRoots string
	// ASURL is where the AS is, with its path, ASRoots verify it, DNFormat is how it
	// writes a DN (empty: the default).
	ASURL, ASRoots, DNFormat string
	// DirectoryJWKS is the directory's address, DirectoryRoots verify it.
	DirectoryJWKS, DirectoryRoots string
	// Transport is a further line of the proxy's transport. Default: none.
	Transport string
	// ChecksOff has the gateway ask nobody by itself: for tests that count what it asks.
	ChecksOff bool
	// Edits are further changes of the example, before the others.
	Edits []Edit
}

// SharesOnly lets one TPP ask as often, have as many clients and write as much as it likes.
var SharesOnly = Workspace("rate_limit off", "clients_per_software off", "bytes_per_organisation off")

// Unlimited also lets it have as much at work at once as it likes: for load, and for tests
// that send hundreds of requests.
var Unlimited = Workspace("rate_limit off", "fair_share off", "clients_per_software off", "bytes_per_organisation off")

// Workspace puts lines at the begin of the workspace's block.
func Workspace(lines ...string) Edit { return At("openbanking_dcr default/obuk").Add(lines...) }

// GlobalOptions puts lines at the begin of the global options.
func GlobalOptions(lines ...string) Edit { return At(Global).Add(lines...) }

// Caddyfile is the example with the setting in it. Every place that changes must
// be there exactly once, so that a demo or a test never runs another
// configuration than it says.
func (s *Setting) Caddyfile(example string) (string, error) {
	const internal, site = "https://as.internal:9443", "auth.bank.example"
	origin := strings.Join(strings.SplitN(s.ASURL, "/", 4)[:3], "/")
	as := []string{"trust_pool file " + s.ASRoots}
	if s.DNFormat != "" {
		as = append(as, "dn_format "+s.DNFormat)
	}
	transport := []string{"transport http {", "\ttls_trust_pool file " + s.ASRoots, "}"}
	if s.Transport != "" {
		transport = slices.Insert(transport, 2, "\t"+s.Transport)
	}
	directive := At(Global, "openbanking_dcr")
	edits := append(slices.Clone(s.Edits),
		// As root Caddy would make the machine trust an authority of its own as soon as
		// one site has no certificate.
		directive.Before("admin "+s.Admin, "auto_https disable_redirects", "skip_install_trust", "default_bind 127.0.0.1"),
		At(Global, "openbanking_dcr", "store").Set("badger", s.StoreDirectory),
		At("authorization_server").Set(s.ASURL), At("authorization_server").Add(as...),
		At("software_statement", "jwks_uri").Set(s.DirectoryJWKS),
		At("software_statement", "jwks_uri").After("private_addresses", "trust_pool file "+s.DirectoryRoots),
		At("reverse_proxy "+internal).Add(transport...), At("reverse_proxy "+internal).Set(origin),
		At(site, "tls", "client_auth", "trust_pool").Set("file", s.ClientRoots),
		At(site, "tls").Set(s.Certificate, s.Key),
		At(site).Rename(fmt.Sprintf("https://localhost:%d", s.Port)),
	)
	if s.ChecksOff {
		edits = append(edits, directive.Add("checks off"))
	}
	return Apply(example, edits...)
}
