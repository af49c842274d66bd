// Package gateway runs Caddy with the plugin as a process of its own, with the
// configuration that operators begin with.
package gateway

import (
	"fmt"
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
	// Transport are further words of the proxy's transport, a line each. Default: none.
	Transport string
	// ChecksOff has the gateway ask nobody by itself: for tests that count what it asks.
	ChecksOff bool
	// Replace are further replacements in the example, before the others.
	Replace []Replacement
}

// Replacement changes one place of the example.
type Replacement struct{ Old, New string }

// SharesOnly lets one TPP ask as often, have as many clients and write as much as it likes.
var SharesOnly = Workspace("rate_limit off", "clients_per_software off", "bytes_per_organisation off")

// Unlimited also lets it have as much at work at once as it likes: for load, and for tests
// that send hundreds of requests.
var Unlimited = UnlimitedAnd()

// UnlimitedAnd is Unlimited with further lines at the begin of the workspace's block.
func UnlimitedAnd(lines ...string) Replacement {
	return Workspace(append([]string{"rate_limit off", "fair_share off", "clients_per_software off", "bytes_per_organisation off"}, lines...)...)
}

// Workspace puts lines at the begin of the workspace's block.
func Workspace(lines ...string) Replacement {
	const begin = "\topenbanking_dcr default/obuk {\n"
	return Replacement{Old: begin, New: begin + "\t\t" + strings.Join(lines, "\n\t\t") + "\n"}
}

// GlobalOptions puts lines into the global options, before the directive's own.
func GlobalOptions(lines ...string) Replacement {
	const begin = "\topenbanking_dcr {\n\t\tstore "
	return Replacement{Old: begin, New: "\t" + strings.Join(lines, "\n\t") + "\n" + begin}
}

// Caddyfile is the example with the setting in it. Every place that changes must
// be there exactly once, so that a demo or a test never runs another
// configuration than it says.
func (s *Setting) Caddyfile(example string) (string, error) {
	origin := strings.Join(strings.SplitN(s.ASURL, "/", 4)[:3], "/")
	dn := ""
	if s.DNFormat != "" {
		dn = "\n\t\t\tdn_format " + s.DNFormat
	}
	checks := ""
	if s.ChecksOff {
		checks = "\t\tchecks off\n"
	}
	for _, r := range append(s.Replace,
		Replacement{"\topenbanking_dcr {\n\t\tstore badger /var/lib/caddy-dcr\n",
			// As root Caddy would make the machine trust an authority of its own as soon as
			// one site has no certificate.
			"\tadmin " + s.Admin + "\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n\topenbanking_dcr {\n" + checks + "\t\tstore badger " + s.StoreDirectory + "\n"},
		Replacement{"\nauth.bank.example {\n", fmt.Sprintf("\nhttps://localhost:%d {\n", s.Port)},
		Replacement{"\ttls {\n", "\ttls " + s.Certificate + " " + s.Key + " {\n"},
		Replacement{"trust_pool file open-banking-roots.pem", "trust_pool file " + s.ClientRoots},
		Replacement{"authorization_server https://as.internal:9443/default/obuk {",
			"authorization_server " + s.ASURL + " {\n\t\t\ttrust_pool file " + s.ASRoots + dn},
		Replacement{"jwks_uri https://keystore.openbanking.org.uk/keystore/openbanking.jwks",
			"jwks_uri " + s.DirectoryJWKS + "\n\t\t\tprivate_addresses\n\t\t\ttrust_pool file " + s.DirectoryRoots},
		Replacement{"\treverse_proxy https://as.internal:9443\n",
			"\treverse_proxy " + origin + " {\n\t\ttransport http {\n\t\t\ttls_trust_pool file " + s.ASRoots + "\n" + s.Transport + "\t\t}\n\t}\n"},
	) {
		if n := strings.Count(example, r.Old); n != 1 {
			return "", fmt.Errorf("the example Caddyfile holds %q %d times, not once", r.Old, n)
		}
		example = strings.Replace(example, r.Old, r.New, 1)
	}
	return example, nil
}
