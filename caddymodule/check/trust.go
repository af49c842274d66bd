package check

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What is trusted, and the certificates that the configuration names.

// soon is how long before the end of a certificate it is found.
const soon = 30 * 24 * time.Hour

// pool are the roots of a trust_pool.
type pool struct {
	place, directive string
	clients          bool // it verifies TPPs
	roots            []*x509.Certificate
	system           bool
	endpoints        []string
}

// pools are those of the configuration that are known before it is loaded.
func (i *inspection) pools() (all []*pool) {
	walk(i.tree, "", nil, func(place string, o map[string]any, above []map[string]any) {
		p := &pool{place: place, directive: "trust_pool", clients: strings.Contains(place, "/client_authentication") || strings.Contains(place, "/client_certificate_header/")}
		switch provider, _ := o["provider"].(string); {
		case provider == "file" || provider == "inline" || provider == "system" || fetched(o):
			p.read(o)
		case strings.HasSuffix(place, "/client_authentication") && (o["trusted_ca_certs"] != nil || o["trusted_ca_certs_pem_files"] != nil):
			p.directive = "client_auth"
			p.read(o)
		default:
			return
		}
		all = append(all, p)
	})
	return all
}

func (p *pool) read(o map[string]any) {
	p.system = o["provider"] == "system"
	p.endpoints = texts(o["endpoints"])
	for _, text := range texts(o["trusted_ca_certs"]) {
		if der, err := base64.StdEncoding.DecodeString(text); err == nil {
			p.roots = append(p.roots, certificates(der)...)
		}
	}
	for _, name := range append(texts(o["pem_files"]), texts(o["trusted_ca_certs_pem_files"])...) {
		p.roots = append(p.roots, readCertificates(name)...)
	}
}

// maxFile is more than a file of roots has.
const maxFile = 8 << 20

// readCertificates are those in a file in PEM. One that cannot be read is another finding.
func readCertificates(name string) (all []*x509.Certificate) {
	if info, err := os.Stat(name); err != nil || info.Size() > maxFile || !info.Mode().IsRegular() {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			all = append(all, certificates(block.Bytes)...)
		}
	}
	return all
}

func certificates(der []byte) []*x509.Certificate {
	all, err := x509.ParseCertificates(der)
	if err != nil {
		return nil
	}
	return all
}

// described is a certificate in words: whose it is, and until when.
func described(c *x509.Certificate) string {
	return fmt.Sprintf("%s, until %s", c.Subject, c.NotAfter.UTC().Format(time.DateOnly))
}

// inPools reports the roots that are so, a finding for each pool.
func (i *inspection) inPools(clients bool, is func(*x509.Certificate) bool, found, why, write string) {
	for _, p := range i.pools() {
		var details []string
		for _, c := range p.roots {
			if p.clients == clients && is(c) {
				details = append(details, described(c))
			}
		}
		if len(details) > 0 {
			i.found(Finding{Directive: p.directive, Place: p.place, Found: found, Details: details, Why: why, Write: write})
		}
	}
}

func clientRoots(i *inspection) {
	i.inPools(true, func(*x509.Certificate) bool { return true }, "client certificates of these CAs are trusted",
		"Each of them can vouch for any TPP.", "nothing, where these are the CAs of the directory (OBWAC) and of the qualified trust service providers (QWAC) that the bank accepts")
}

func (i *inspection) expired(c *x509.Certificate) bool { return i.now.After(c.NotAfter) }

func (i *inspection) ending(c *x509.Certificate, within time.Duration) bool {
	return !i.expired(c) && i.now.Add(within).After(c.NotAfter)
}

func clientRootExpired(i *inspection) {
	i.inPools(true, i.expired, "a CA whose certificate has expired is trusted for clients",
		"No certificate below it is accepted: its TPPs get 401, or cannot connect.", "put the CA's new certificate into the file, then run caddy reload --force")
}

func clientRootExpiring(i *inspection) {
	i.inPools(true, func(c *x509.Certificate) bool { return i.ending(c, 3*soon) }, "a CA whose certificate ends within 90 days is trusted for clients",
		"From that day on its TPPs get 401, or cannot connect.", "ask the CA for its next certificate, add it to the file, then run caddy reload --force")
}

func serverRootExpired(i *inspection) {
	i.inPools(false, i.expired, "a root whose certificate has expired is trusted for a server",
		"A server with a certificate below it cannot be reached.", "put the CA's new certificate into the file, then run caddy reload --force")
}

// publicRoots are those that Mozilla's browsers trust, by their DER.
var publicRoots = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for root := range bundle.Roots() {
		all[string(root.Certificate)] = true
	}
	return all
})

func clientRootPublic(i *inspection) {
	const why = "Everybody can get a certificate of a public authority. It says that somebody controls a host name, and not that an organisation may be a TPP."
	const write = "list only the root and issuing CAs of the directory (OBWAC), and the CAs of qualified trust service providers that issue QWACs"
	i.inPools(true, func(c *x509.Certificate) bool { return publicRoots()[string(c.Raw)] }, "a public web CA is trusted for clients", why, write)
	for _, p := range i.pools() {
		if p.clients && p.system {
			i.found(Finding{Directive: p.directive, Place: p.place, Found: "every CA of the system is trusted for clients", Why: why, Write: write})
		}
	}
}

// notCA are the reasons why a certificate is no root for anybody.
func notCA(c *x509.Certificate) bool {
	key, isRSA := c.PublicKey.(*rsa.PublicKey)
	weak := slices.Contains([]x509.SignatureAlgorithm{x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1}, c.SignatureAlgorithm)
	return !c.IsCA || isRSA && key.N.BitLen() < 2048 || weak && string(c.RawSubject) != string(c.RawIssuer)
}

func clientRootWeak(i *inspection) {
	i.inPools(true, notCA, "a certificate that is no CA's, or is too weak, is trusted for clients",
		"One without basic constraints for a CA verifies nobody but itself. A key of less than 2048 bits, or a signature with SHA-1, can be forged.", "take it out of the file; list the CA that has issued the TPPs' certificates")
}

func trustFetched(i *inspection) {
	for _, p := range i.pools() {
		if len(p.endpoints) > 0 {
			i.found(Finding{Directive: p.directive, Place: p.place, Found: "roots are fetched when the configuration loads", Details: redacted(p.endpoints),
				Why: "Whoever answers there decides who is trusted, and without an answer the gateway does not start. Without --live nothing is known of these roots here.", Write: "write trust_pool file <roots>"})
		}
	}
}

// redacted are addresses without the passwords in them.
func redacted(addresses []string) (out []string) {
	for _, one := range addresses {
		if u, err := url.Parse(one); err == nil {
			out = append(out, u.Redacted())
		}
	}
	return out
}

func revocationFileEnded(i *inspection, w *workspace) {
	for _, c := range w.CRL {
		if c == nil {
			continue
		}
		for _, name := range c.From {
			if info, err := os.Stat(name); err != nil || info.Size() > verify.MaxCRL {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			if l, err := verify.ParseCRL(text); err == nil && i.now.After(l.NextUpdate) && !l.NextUpdate.IsZero() {
				i.foundIn(w, "crl", "crl", fmt.Sprintf("the revocation list in %s has ended at %s", name, l.NextUpdate.UTC().Format(time.RFC3339)),
					"With crl_mode strict every TPP of that CA gets 503; without it, newer revocations are not known.", "fetch the CA's current list, and have a job fetch it again before each nextUpdate")
			}
		}
	}
}

// own are the certificates that this machine shows, by the place of their name.
func (i *inspection) own(visit func(directive, place string, c *x509.Certificate)) {
	walk(i.tree, "", nil, func(place string, o map[string]any, _ []map[string]any) {
		directive := ""
		switch {
		case strings.HasPrefix(place, "apps/tls/certificates/load_files/"):
			directive = "tls"
		case strings.HasSuffix(place, "/authorization_server/tls_client_auth"):
			directive = "authorization_server, tls_client_auth"
		default:
			return
		}
		if chain := readCertificates(strings.Join(texts(o["certificate"]), "")); len(chain) > 0 {
			visit(directive, place+"/certificate", chain[0])
		}
	})
}

func ownCertificateExpired(i *inspection) {
	i.own(func(directive, place string, c *x509.Certificate) {
		if i.expired(c) {
			i.found(Finding{Directive: directive, Place: place, Found: "the certificate has expired: " + described(c), Why: "Nobody who verifies it connects.", Write: "renew the certificate"})
		}
	})
}

func ownCertificateExpiring(i *inspection) {
	i.own(func(directive, place string, c *x509.Certificate) {
		if i.ending(c, soon) {
			i.found(Finding{Directive: directive, Place: place, Found: "the certificate ends within 30 days: " + described(c), Why: "From that day on nobody who verifies it connects. Caddy does not renew what is in a file.", Write: "renew the certificate, then run caddy reload --force"})
		}
	})
}
