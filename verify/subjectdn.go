package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// longestDN is how much of the right DN a refusal shows, for the TPP to copy.
const longestDN = 300

// checkSubjectDN settles the DN that will authenticate the client. It must be
// that of a certificate that the software has shown to be its own: the one of
// this connection, or one that its verified JWKS names for TLS.
func checkSubjectDN(e *evaluation) error {
	text, err := claimedDN(e.claims)
	if err != nil {
		return err
	}
	if e.out.Metadata.TokenEndpointAuthMethod != "tls_client_auth" {
		if text != "" {
			return errors.New("only goes with token_endpoint_auth_method tls_client_auth; leave it out")
		}
		return nil
	}
	if text == "" {
		if e.Certificate == nil {
			return errors.New("missing; send the subject of the transport certificate")
		}
		if len(e.Certificate.Subject) == 0 { // it would equal nothing, ever
			return errors.New("missing, and the transport certificate has an empty subject; use another certificate")
		}
		e.settle(e.Certificate.Subject.String(), e.Certificate.Subject, e.Certificate.Leaf.RawSubject)
		return nil
	}
	name, err := ParseDN(text)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", Quote(text), err)
	}
	if e.Certificate == nil {
		e.settle(text, name, nil)
		return nil
	}
	if name.Equal(e.Certificate.Subject) {
		e.settle(text, e.Certificate.Subject, e.Certificate.Leaf.RawSubject)
		return nil
	}
	keys, err := e.Request.Keys.Keys(e)
	if err != nil {
		return unavailableKeys(err)
	}
	for _, k := range keys {
		if k.Use != "tls" || len(k.Certificates) == 0 {
			continue
		}
		leaf, err := x509.ParseCertificate(k.Certificates[0])
		if err != nil {
			continue
		}
		if subject, err := ParseSubject(leaf.RawSubject); err == nil && name.Equal(subject) {
			e.settle(text, subject, leaf.RawSubject)
			return nil
		}
	}
	return fmt.Errorf("%s is not the subject of the presented certificate, which is %s; send that, or leave the claim out", Quote(text), quote(e.Certificate.Subject.String(), longestDN))
}

func (e *evaluation) settle(text string, subject DN, raw []byte) {
	e.out.Metadata.TLSClientAuthSubjectDN = text
	e.out.Subject, e.out.RawSubject = subject, raw
}

// claimedDN reads the DN under both its names: RFC 8705's, and the one of DCR
// v3.1 and of SecureAuth.
func claimedDN(claims Object) (string, error) {
	rfc, ok, err := claims.String("tls_client_auth_subject_dn")
	if err != nil {
		return "", err
	}
	older, both, err := claims.String("tls_client_auth_dn")
	switch {
	case err != nil:
		return "", fmt.Errorf("tls_client_auth_dn %w", err)
	case ok && rfc == "", both && older == "":
		return "", errors.New("empty; send the subject of the transport certificate, or leave the claim out")
	case ok && both && rfc != older:
		return "", errors.New("differs from tls_client_auth_dn; send one of them")
	case !ok:
		return older, nil
	}
	return rfc, nil
}
