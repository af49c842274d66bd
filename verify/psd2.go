package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"golang.org/x/crypto/cryptobyte"
	cryptoasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PSD2 is what a certificate says about its holder as a payment service provider
// (ETSI TS 119 495 5.1): who it is registered with, and as what.
type PSD2 struct {
	// Roles are PSP_AS, PSP_PI, PSP_AI and PSP_IC, in the order of the certificate,
	// each at most once. Roles of other OIDs are left out: nobody here knows what
	// they permit.
	Roles []string
	// NCAName and NCAID are the competent authority ("Financial Conduct Authority", "GB-FCA").
	NCAName, NCAID string
}

// QCStatements are those statements of a certificate that concern a payment
// service provider (RFC 3739 3.2.6, ETSI EN 319 412-5).
type QCStatements struct {
	// Compliance: the CA says that it is a qualified certificate (QcCompliance).
	// Open Banking's own OBWAC and OBSeal do not have it.
	Compliance bool
	// Types are esign, eseal and web, for those that the certificate names (QcType).
	Types []string
	// PSD2 is nil when the certificate has no such statement.
	PSD2 *PSD2
}

// QWAC tells whether it is a qualified certificate for website authentication.
func (q QCStatements) QWAC() bool { return q.Compliance && slices.Contains(q.Types, "web") }

// Bounds of the statements. Real extensions have about 200 bytes and five
// statements; a name has 256 characters at most (TS 119 495 annex A).
const (
	maxStatements     = 32
	maxStatementBytes = 8 << 10
	maxPSPRoles       = 16
	maxPSPText        = 256
	maxOIDBytes       = 64
)

var (
	qcTypes  = map[string]string{"0.4.0.1862.1.6.1": "esign", "0.4.0.1862.1.6.2": "eseal", "0.4.0.1862.1.6.3": "web"}
	pspRoles = map[string]string{"0.4.0.19495.1.1": "PSP_AS", "0.4.0.19495.1.2": "PSP_PI", "0.4.0.19495.1.3": "PSP_AI", "0.4.0.19495.1.4": "PSP_IC"}
)

// QCStatements reads the extension of the leaf. A certificate without it has the
// zero value.
//
// It is read when somebody asks: most registrations need nothing of it, and a
// statement that cannot be read must not keep a client out whose certificate is
// good for TLS. Who asks has to refuse on an error: a statement that cannot be
// read is not one that is absent.
func (c *Certificate) QCStatements() (QCStatements, error) {
	der, err := c.extension("1.3.6.1.5.5.7.1.3")
	if der == nil || err != nil {
		return QCStatements{}, err
	}
	q, err := parseQCStatements(der)
	if err != nil {
		return QCStatements{}, fmt.Errorf("its QCStatements cannot be read: %w", err)
	}
	return q, nil
}

func parseQCStatements(der []byte) (q QCStatements, err error) {
	if len(der) > maxStatementBytes {
		return q, fmt.Errorf("longer than %d bytes", maxStatementBytes)
	}
	in, seen := cryptobyte.String(der), []string{}
	var list cryptobyte.String
	if !in.ReadASN1(&list, cryptoasn1.SEQUENCE) || !in.Empty() || list.Empty() {
		return q, errors.New("not a sequence of statements")
	}
	for !list.Empty() {
		var s cryptobyte.String
		if !list.ReadASN1(&s, cryptoasn1.SEQUENCE) {
			return q, errors.New("malformed statement")
		}
		oid, err := readOID(&s)
		switch {
		case err != nil:
			return q, err
		case slices.Contains(seen, oid):
			return q, fmt.Errorf("statement %s is there twice", oid)
		case len(seen) == maxStatements:
			return q, fmt.Errorf("more than %d statements", maxStatements)
		}
		seen = append(seen, oid)
		if err := q.read(oid, s); err != nil {
			return q, fmt.Errorf("statement %s: %w", oid, err)
		}
	}
	return q, nil
}

// read takes one statement; info is what follows its OID.
func (q *QCStatements) read(oid string, info cryptobyte.String) (err error) {
	switch oid {
	case "0.4.0.1862.1.1":
		q.Compliance = true
		if !info.Empty() {
			err = errors.New("has content")
		}
	case "0.4.0.1862.1.6":
		q.Types, err = readQCTypes(info)
	case "0.4.0.19495.2":
		q.PSD2, err = readPSD2(info)
	default:
		var any cryptobyte.String
		var tag cryptoasn1.Tag
		if !info.Empty() && (!info.ReadAnyASN1(&any, &tag) || !info.Empty()) {
			err = errors.New("malformed")
		}
	}
	return err
}

// readQCTypes reads QcType ::= SEQUENCE OF OBJECT IDENTIFIER. Types that are not
// known are left out.
func readQCTypes(info cryptobyte.String) (types []string, err error) {
	var list cryptobyte.String
	if !info.ReadASN1(&list, cryptoasn1.SEQUENCE) || !info.Empty() || list.Empty() {
		return nil, errors.New("not a sequence of types")
	}
	for !list.Empty() {
		oid, err := readOID(&list)
		if err != nil {
			return nil, err
		}
		switch name := qcTypes[oid]; {
		case name == "":
		case slices.Contains(types, name):
			return nil, fmt.Errorf("type %s is there twice", name)
		default:
			types = append(types, name)
		}
	}
	return types, nil
}

// readPSD2 reads PSD2QcType ::= SEQUENCE { rolesOfPSP, nCAName, nCAId }.
func readPSD2(info cryptobyte.String) (*PSD2, error) {
	var seq, roles cryptobyte.String
	if !info.ReadASN1(&seq, cryptoasn1.SEQUENCE) || !info.Empty() || !seq.ReadASN1(&roles, cryptoasn1.SEQUENCE) {
		return nil, errors.New("malformed")
	}
	p := &PSD2{}
	n := 0
	for ; !roles.Empty(); n++ {
		if n == maxPSPRoles {
			return nil, fmt.Errorf("more than %d roles", maxPSPRoles)
		}
		name, err := readPSPRole(&roles)
		switch {
		case err != nil:
			return nil, err
		case name == "":
		case slices.Contains(p.Roles, name):
			return nil, fmt.Errorf("role %s is there twice", name)
		default:
			p.Roles = append(p.Roles, name)
		}
	}
	if n == 0 {
		return nil, errors.New("has no role")
	}
	var err error
	if p.NCAName, err = readPSPText(&seq); err != nil {
		return nil, fmt.Errorf("nCAName %w", err)
	}
	if p.NCAID, err = readPSPText(&seq); err != nil {
		return nil, fmt.Errorf("nCAId %w", err)
	}
	if !seq.Empty() {
		return nil, errors.New("goes on after the nCAId")
	}
	return p, nil
}

// readPSPRole reads one role; "" is a role of an OID that is not known. OID and
// name must agree, because other software may go by the other one.
func readPSPRole(roles *cryptobyte.String) (string, error) {
	var seq cryptobyte.String
	if !roles.ReadASN1(&seq, cryptoasn1.SEQUENCE) {
		return "", errors.New("malformed role")
	}
	oid, err := readOID(&seq)
	if err != nil {
		return "", err
	}
	name, err := readPSPText(&seq)
	switch {
	case err != nil:
		return "", fmt.Errorf("role %s: its name %w", oid, err)
	case !seq.Empty():
		return "", fmt.Errorf("role %s goes on after its name", oid)
	case pspRoles[oid] == name:
		return name, nil
	case pspRoles[oid] != "" || strings.HasPrefix(name, "PSP_"):
		return "", fmt.Errorf("role %s is named %s", oid, refusal.Quote(name))
	}
	return "", nil
}

// readOID reads an object identifier. Its arcs may be larger than an int: that of
// a statement that nobody here knows must not spoil the others.
func readOID(in *cryptobyte.String) (string, error) {
	var der cryptobyte.String
	var oid x509.OID
	if !in.ReadASN1(&der, cryptoasn1.OBJECT_IDENTIFIER) || len(der) > maxOIDBytes || oid.UnmarshalBinary(der) != nil {
		return "", errors.New("malformed object identifier")
	}
	return oid.String(), nil
}

// readPSPText reads a UTF8String of 1 to 256 characters. Control characters are
// refused: policies, logs and the audit trail show these texts.
func readPSPText(in *cryptobyte.String) (string, error) {
	var v cryptobyte.String
	switch {
	case !in.ReadASN1(&v, cryptoasn1.UTF8String):
		return "", errors.New("is no UTF8String")
	case !utf8.Valid(v):
		return "", errors.New("is not UTF-8")
	case len(v) == 0 || utf8.RuneCount(v) > maxPSPText:
		return "", fmt.Errorf("is empty or longer than %d characters", maxPSPText)
	case strings.ContainsFunc(string(v), unicode.IsControl):
		return "", errors.New("has a control character")
	}
	return string(v), nil
}
