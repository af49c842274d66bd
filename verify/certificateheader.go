package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
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

// Read takes the certificate, and the intermediates that come with it, from the
// headers of a request. nil without an error when there is none. Nothing of it is
// verified.
func (h CertificateHeader) Read(header map[string][]string) (leaf *x509.Certificate, intermediates []*x509.Certificate, err error) {
	values := header[h.Name]
	switch {
	case len(values) == 0, len(values) == 1 && values[0] == "":
		return nil, nil, nil
	case len(values) > 1:
		return nil, nil, fmt.Errorf("%s: %d of them; a proxy that sets it must remove those from outside", h.Name, len(values))
	case len(values[0]) > MaxCertificateHeader:
		return nil, nil, fmt.Errorf("%s: longer than %d bytes", h.Name, MaxCertificateHeader)
	}
	ders, err := h.split(values[0])
	if err == nil && h.Form == FormRFC9440 {
		ders, err = h.withChain(ders, header[h.chainName()])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	if len(ders) == 0 || len(ders) > maxHeaderChain {
		return nil, nil, fmt.Errorf("%s: %d certificates, 1 to %d are read", h.Name, len(ders), maxHeaderChain)
	}
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		if i == 0 {
			leaf = c
			continue
		}
		intermediates = append(intermediates, c)
	}
	return leaf, intermediates, nil
}

// split reads the certificates of a value, the client's first.
func (h CertificateHeader) split(value string) ([][]byte, error) {
	switch h.Form {
	case FormRFC9440:
		return byteSequences(value, 1)
	case FormHAProxy:
		return base64List(strings.Trim(value, `"`))
	case FormTraefik:
		text, err := url.PathUnescape(value) // some versions escape it
		if err != nil {
			return nil, err
		}
		return base64List(text)
	case FormApache:
		return pemList(value)
	case FormEnvoy:
		text, err := forwardedCertificate(value)
		if err != nil {
			return nil, err
		}
		value = text
	}
	text, err := url.PathUnescape(value) // a plus is itself: base64 has them
	if err != nil {
		return nil, err
	}
	return pemList(text)
}

func (h CertificateHeader) withChain(ders [][]byte, values []string) ([][]byte, error) {
	switch {
	case len(values) == 0:
		return ders, nil
	case len(values) > 1:
		return nil, fmt.Errorf("%d headers %s", len(values), h.chainName())
	case len(values[0]) > MaxCertificateHeader:
		return nil, fmt.Errorf("%s is longer than %d bytes", h.chainName(), MaxCertificateHeader)
	}
	chain, err := byteSequences(values[0], maxHeaderChain)
	return append(ders, chain...), err
}

// byteSequences reads a list of them (RFC 8941 3.1, 3.3.5).
func byteSequences(value string, most int) (out [][]byte, err error) {
	for item := range strings.SplitSeq(value, ",") {
		item = strings.Trim(item, " \t")
		inner, begins := strings.CutPrefix(item, ":")
		inner, ends := strings.CutSuffix(inner, ":")
		der, err := decodeCertificate(inner)
		if !begins || !ends || err != nil || len(out) == most {
			return nil, errors.New("not one byte sequence (base64 between colons, RFC 8941)")
		}
		out = append(out, der)
	}
	return out, nil
}

func base64List(value string) (out [][]byte, err error) {
	for item := range strings.SplitSeq(value, ",") {
		der, err := decodeCertificate(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		out = append(out, der)
	}
	return out, nil
}

// pemList reads certificates in PEM, one after the other, whatever blanks its lines
// end with, and nothing else.
func pemList(text string) (out [][]byte, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		inner, begins := strings.CutPrefix(text, pemBegin)
		body, rest, ends := strings.Cut(inner, pemEnd)
		if !begins || !ends {
			return nil, errors.New("not a certificate in PEM")
		}
		der, err := decodeCertificate(strings.Join(strings.Fields(body), ""))
		if err != nil {
			return nil, err
		}
		out, text = append(out, der), rest
	}
	return out, nil
}

var errBase64 = errors.New("not base64")

func decodeCertificate(text string) ([]byte, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(der) == 0 || strings.ContainsAny(text, "\r\n") {
		return nil, errBase64
	}
	return der, nil
}

// forwardedCertificate takes Chain, or Cert, from the one element of an Envoy header.
// A second element, after a comma, is of another proxy before that.
func forwardedCertificate(value string) (string, error) {
	found := map[string]string{}
	for rest := value; rest != ""; {
		var name, text string
		var ok bool
		if name, text, rest, ok = forwardedPair(rest); !ok {
			return "", errors.New("not one element of Name=value pairs")
		}
		if _, twice := found[name]; twice && (name == "cert" || name == "chain") {
			return "", errors.New(name + " is there twice")
		}
		found[name] = text
	}
	for _, name := range []string{"chain", "cert"} {
		if text, ok := found[name]; ok {
			return text, nil
		}
	}
	return "", errors.New("it names no Cert and no Chain; have the proxy forward one of them")
}

// forwardedPair cuts the first pair off an element. Values with a separator in them
// are quoted.
func forwardedPair(element string) (name, text, rest string, ok bool) {
	name, rest, ok = strings.Cut(element, "=")
	if !ok {
		return "", "", "", false
	}
	inner, quoted := strings.CutPrefix(rest, `"`)
	if !quoted {
		text, rest, _ = strings.Cut(rest, ";")
		return strings.ToLower(name), text, rest, !strings.ContainsAny(text, `,"`)
	}
	for end := 0; end < len(inner); end++ {
		switch inner[end] {
		case '\\':
			end++
		case '"':
			after := inner[end+1:]
			rest, ok = strings.CutPrefix(after, ";")
			return strings.ToLower(name), inner[:end], rest, ok || after == ""
		}
	}
	return "", "", "", false
}
