package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// How a header carries a client's certificate: to an AS, and from a load balancer.
const (
	FormRFC9440 = "rfc9440" // Client-Cert and Client-Cert-Chain: a byte sequence, and a list of them (RFC 9440 2)
	FormNginx   = "nginx"   // Ssl-Client-Cert: PEM, percent-encoded ($ssl_client_escaped_cert)
	FormEnvoy   = "envoy"   // X-Forwarded-Client-Cert: Hash=..;Cert="..";Chain="..", PEM, percent-encoded
	FormTraefik = "traefik" // X-Forwarded-Tls-Client-Cert: base64 of the DER, the chain after commas
	FormHAProxy = "haproxy" // X-Ssl-Client-Cert: base64 of the DER (ssl_c_der,base64)
	FormApache  = "apache"  // Ssl-Client-Cert: PEM with blanks for line ends (%{SSL_CLIENT_CERT}s)
	FormALB     = "alb"     // X-Amzn-Mtls-Clientcert-Leaf: PEM, percent-encoded, of the AWS application load balancer
	FormPEM     = "pem"     // X-Client-Cert: PEM, percent-encoded
)

// certificateHeaderNames are the headers of the forms, where the operator names no other.
var certificateHeaderNames = map[string]string{
	FormRFC9440: "Client-Cert", FormNginx: "Ssl-Client-Cert", FormEnvoy: "X-Forwarded-Client-Cert", FormTraefik: "X-Forwarded-Tls-Client-Cert",
	FormHAProxy: "X-Ssl-Client-Cert", FormApache: "Ssl-Client-Cert", FormALB: "X-Amzn-Mtls-Clientcert-Leaf", FormPEM: "X-Client-Cert",
}

// CertificateForms are all of them.
var CertificateForms = []string{FormRFC9440, FormNginx, FormEnvoy, FormTraefik, FormHAProxy, FormApache, FormALB, FormPEM}

// Bounds of a certificate header.
const (
	// MaxCertificateHeader is its length in bytes, at most.
	MaxCertificateHeader = 64 << 10
	// maxHeaderChain is the number of certificates in it.
	maxHeaderChain = 8
)

// CertificateHeader is a header that carries a client's certificate.
type CertificateHeader struct {
	// Form is one of CertificateForms.
	Form string
	// Name is the header's, in canonical form.
	Name string
}

// NewCertificateHeader is a form, in its usual header or another one.
func NewCertificateHeader(form, name string) (CertificateHeader, error) {
	usual, ok := certificateHeaderNames[form]
	if !ok {
		return CertificateHeader{}, fmt.Errorf("form %q: must be one of %q", form, CertificateForms)
	}
	if name == "" {
		name = usual
	}
	return CertificateHeader{form, name}, nil
}

// Names are the headers that it reads or writes.
func (h CertificateHeader) Names() []string {
	if h.Form == FormRFC9440 {
		return []string{h.Name, h.chainName()}
	}
	return []string{h.Name}
}

func (h CertificateHeader) chainName() string { return h.Name + "-Chain" }

// Write returns name and value in turn, for a certificate and the intermediates between
// it and a trusted root, of which only FormRFC9440, FormEnvoy and FormTraefik say anything.
func (h CertificateHeader) Write(leaf []byte, intermediates ...[]byte) []string {
	encode := base64.StdEncoding.EncodeToString
	switch h.Form {
	case FormRFC9440:
		out := []string{h.Name, ":" + encode(leaf) + ":"}
		var chain []string
		for _, der := range intermediates {
			chain = append(chain, ":"+encode(der)+":")
		}
		if chain != nil {
			out = append(out, h.chainName(), strings.Join(chain, ", "))
		}
		return out
	case FormEnvoy:
		sum := sha256.Sum256(leaf)
		value := "Hash=" + hex.EncodeToString(sum[:]) + `;Cert="` + escape(pemOf(leaf, "\n")) + `"`
		if len(intermediates) > 0 {
			chain := pemOf(leaf, "\n")
			for _, der := range intermediates {
				chain += pemOf(der, "\n")
			}
			value += `;Chain="` + escape(chain) + `"`
		}
		return []string{h.Name, value}
	case FormTraefik:
		value := encode(leaf)
		for _, der := range intermediates {
			value += "," + encode(der)
		}
		return []string{h.Name, value}
	case FormHAProxy:
		return []string{h.Name, encode(leaf)}
	case FormApache:
		return []string{h.Name, strings.TrimSuffix(pemOf(leaf, " "), " ")}
	}
	return []string{h.Name, escape(pemOf(leaf, "\n"))}
}

const (
	pemBegin = "-----BEGIN CERTIFICATE-----"
	pemEnd   = "-----END CERTIFICATE-----"
	pemLine  = 64
)

// pemOf is PEM (RFC 7468) with other line ends.
func pemOf(der []byte, end string) string {
	var b strings.Builder
	b.WriteString(pemBegin + end)
	for text := base64.StdEncoding.EncodeToString(der); text != ""; {
		n := min(pemLine, len(text))
		b.WriteString(text[:n] + end)
		text = text[n:]
	}
	return b.String() + pemEnd + end
}

// escape percent-encodes as all of these servers do: a blank is %20, a plus %2B.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
