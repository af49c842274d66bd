package verify

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

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
