package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// checkSubjectDN settles the DN that will authenticate the client. It must be
// that of a certificate that the software has shown to be its own: the one of
// this connection, or one that its verified JWKS names for TLS.
func checkSubjectDN(e *evaluation) error {
	text, err := claimedDN(e.claims)
	if method := e.out.Metadata.TokenEndpointAuthMethod; method != "tls_client_auth" {
		if err == nil && text != "" {
			err = errors.New("only goes with token_endpoint_auth_method tls_client_auth; leave it out")
		}
		return err
	}
	if err != nil {
		return e.sendOwn(err)
	}
	if claim, _ := e.out.Metadata.SAN(); claim != "" {
		if text != "" {
			return fmt.Errorf("%s is there too; exactly one name of the certificate can be registered", claim)
		}
		return nil
	}
	if text == "" {
		return e.captureSubject()
	}
	name, err := dn.Parse(text)
	if err != nil {
		if e.isAnswer(text) { // of whatever length
			return e.captureSubject()
		}
		return e.sendOwn(fmt.Errorf("%s cannot be read: %w", refusal.Quote(text), err), fmt.Errorf("cannot be read: %w", err))
	}
	if name.HasNoValue() { // it would name whoever has another such certificate
		return e.sendOwn(fmt.Errorf("%s has no value", refusal.Quote(text)))
	}
	if e.followPattern() && !dn.FitsPattern(text) && !e.isAnswer(text) {
		return e.sendOwn(fmt.Errorf("%s is not in the form of DCR 3.4 (CN first, no blank after a comma, at most %d characters)", refusal.Quote(text), dn.MaxPatternLength),
			fmt.Errorf("not in the form of DCR 3.4 (CN first, no blank after a comma, at most %d characters)", dn.MaxPatternLength))
	}
	return e.settleOn(text, name)
}

// settleOn finds the certificate that a DN names.
func (e *evaluation) settleOn(text string, name dn.Name) error {
	if e.Certificate == nil {
		e.settle(text, name, nil)
		return nil
	}
	if e.settleAs(text, name, e.Certificate.Subject, e.Certificate.Leaf) {
		return nil
	}
	part := e.Supported.Lenient.allows("tls_client_auth_subject_dn") && name.PartOf(e.Certificate.Subject)
	subject, leaf, err := e.published(name)
	switch {
	case leaf != nil && e.settleAs(text, name, subject, leaf):
		return nil
	case part:
		return e.captureSubject()
	case err != nil:
		return err
	}
	return e.sendOwn(fmt.Errorf("%s is not the subject of the presented certificate", refusal.Quote(text)), errors.New("not the subject of the presented certificate"))
}

// captureSubject takes the DN of the presented certificate.
func (e *evaluation) captureSubject() error {
	if e.Certificate == nil {
		return errors.New("missing; send the subject of the transport certificate")
	}
	if e.Certificate.Subject.HasNoValue() {
		return errNameless
	}
	e.settle(e.Certificate.Subject.String(), e.Certificate.Subject, e.Certificate.Leaf)
	return nil
}

var errNameless = errors.New("the transport certificate has an empty subject; use another certificate")

// followPattern tells whether a DN must satisfy the pattern of DCR 3.4.
func (e *evaluation) followPattern() bool {
	return e.Supported.SubjectDNPattern && !e.Supported.Lenient.allows("tls_client_auth_subject_dn")
}

// isAnswer tells whether a text is what an answer shows of the presented certificate.
func (e *evaluation) isAnswer(text string) bool {
	switch {
	case e.Certificate == nil:
		return false
	case e.Supported.SubjectDNPattern:
		return text == e.Certificate.Subject.PatternText()
	}
	return text == e.Certificate.Subject.String()
}

// sendOwn completes what was found with the DN to send: the first of the texts with which
// it fits into a description.
func (e *evaluation) sendOwn(found ...error) error {
	switch {
	case e.Certificate == nil:
		return found[0]
	case e.Certificate.Subject.HasNoValue():
		return errNameless
	}
	own := e.Certificate.Subject.PlainText()
	if e.Supported.SubjectDNPattern {
		own = e.Certificate.Subject.CommonNameFirst().PlainText()
	}
	for _, f := range found {
		if e.followPattern() && !dn.FollowsPattern(own) {
			break // it would be refused
		}
		if err := fmt.Errorf("%w; send '%s', or leave the claim out", f, own); len("tls_client_auth_subject_dn: ")+len(err.Error()) <= refusal.MaxDescription {
			return err
		}
	}
	return fmt.Errorf("%w; leave the claim out, and the subject of the presented certificate is registered", found[len(found)-1])
}

// settleAs settles on a certificate's DN where the claim names it. The TPP's text is kept
// where it does so in every later comparison too, and not only by the same attributes.
func (e *evaluation) settleAs(text string, name, subject dn.Name, leaf *x509.Certificate) bool {
	switch {
	case name.Equal(subject):
	case name.SameAttributes(subject):
		text = subject.String()
	default:
		return false
	}
	e.settle(text, subject, leaf)
	return true
}

// settle writes the outcome; leaf is the certificate with that DN, nil when none was seen.
func (e *evaluation) settle(text string, subject dn.Name, leaf *x509.Certificate) {
	e.out.Metadata.TLSClientAuthSubjectDN, e.out.Subject = text, subject
	if leaf != nil {
		e.out.RawSubject, e.out.SubjectFrom = leaf.RawSubject, leaf.NotBefore
	}
}

// claimedDN reads the DN under both its names: RFC 8705's, and the one of DCR
// v3.1 and of SecureAuth.
func claimedDN(claims strictjson.Object) (string, error) {
	rfc, ok, err := claims.String("tls_client_auth_subject_dn")
	if err != nil {
		return "", err
	}
	older, both, err := claims.String("tls_client_auth_dn")
	switch {
	case err != nil:
		return "", fmt.Errorf("tls_client_auth_dn %w", err)
	case ok && rfc == "", both && older == "":
		return "", errors.New("empty")
	case ok && both && rfc != older:
		return "", errors.New("differs from tls_client_auth_dn")
	case !ok:
		return older, nil
	}
	return rfc, nil
}

// checkSAN is the row of one of the san claims: a name that the presented
// certificate has takes the DN's place.
func checkSAN(claim string) func(*evaluation) error {
	return func(e *evaluation) error {
		value, ok, err := e.claims.String(claim)
		if err != nil || !ok {
			return err
		}
		other, _ := e.out.Metadata.SAN()
		switch {
		case e.out.Metadata.TokenEndpointAuthMethod != "tls_client_auth":
			return errors.New("only goes with token_endpoint_auth_method tls_client_auth; leave it out")
		case other != "":
			return fmt.Errorf("%s is there too; exactly one name of the certificate can be registered", other)
		case !slices.Contains(e.Supported.SubjectNames, claim):
			return errors.New("not supported by this server; send tls_client_auth_subject_dn")
		}
		if _, err := ReadSAN(claim, value); err != nil {
			return err
		}
		if e.Certificate != nil && !e.Certificate.HasSAN(claim, value) {
			return fmt.Errorf("%s is not a name of the presented certificate; send one that it has", refusal.Quote(value))
		}
		*e.out.Metadata.san(claim) = value
		return nil
	}
}

// checkBinding ties the presented certificate to the statement, where the
// operator wants it.
func checkBinding(e *evaluation) error {
	if len(e.Bind) == 0 {
		return nil
	}
	return BindCertificate(e, e.Bind, e.Certificate, e.ssa, e.ssa.transportKeys()...)
}
