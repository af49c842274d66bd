package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// The forms of bind_certificate: what ties the transport certificate of a
// registration to its software statement. A statement is a bearer document;
// without a signed request body nothing else does.
const (
	// BindSSAJWKS: the certificate is, byte for byte, the first of the x5c of a key
	// with use tls, in the JWKS of the software or of its organisation, and for that
	// JWK's own key (RFC 7517 4.7).
	BindSSAJWKS = "ssa_jwks"
	// BindCommonName: the subject's CN is the software_id, and its OU, when there is
	// one, the org_id: the transport certificates that the Open Banking directory
	// issued before those of ETSI TS 119 495.
	BindCommonName = "common_name"
	// BindOrganizationIdentifier: the subject's organizationIdentifier names the
	// organisation of the statement (namesOrganization says when). It is the
	// weakest form: each software of the organisation may use the certificate.
	BindOrganizationIdentifier = "organization_identifier"
)

// BindingForms are all of them.
var BindingForms = []string{BindSSAJWKS, BindCommonName, BindOrganizationIdentifier}

// BindCertificate checks the certificate against the statement in each of the
// forms: all must pass. keys are the JWKS of the software and of its
// organisation; they are asked last, only for BindSSAJWKS, and once more for
// newer ones when the certificate is not among them.
//
// Errors: those of a JWKS that cannot be used, where no other one has the
// certificate: Unavailable before a refused host; else a plain one, whose text goes on after "client certificate".
func BindCertificate(ctx context.Context, forms []string, cert *Certificate, s *SoftwareStatement, keys ...KeySource) error {
	if cert == nil && len(forms) > 0 {
		return errors.New("missing; connect with the transport certificate of the software")
	}
	for _, form := range forms {
		var err error
		switch form {
		case BindSSAJWKS: // below
		case BindCommonName:
			err = bindCommonName(cert.Subject, s)
		case BindOrganizationIdentifier:
			err = bindOrganization(cert, s)
		default:
			err = fmt.Errorf("cannot be bound to the software statement as %s", refusal.Quote(form))
		}
		if err != nil {
			return err
		}
	}
	if slices.Contains(forms, BindSSAJWKS) {
		return bindJWKS(ctx, cert, keys)
	}
	return nil
}

// bindCommonName compares exactly, unlike Name.Equal: a software_id is Base62, and
// one in another case is another software's.
func bindCommonName(subject dn.Name, s *SoftwareStatement) error {
	const mend = "connect with the transport certificate of the software"
	cn, err := subject.Single("2.5.4.3", "CN")
	switch {
	case err != nil:
		return fmt.Errorf("%w; %s", err, mend)
	case cn != s.SoftwareID:
		return fmt.Errorf("has CN %s, but the software statement is for %s; %s", refusal.Quote(cn), refusal.Quote(s.SoftwareID), mend)
	case len(subject.Only("2.5.4.11")) == 0:
		return nil
	}
	ou, err := subject.Single("2.5.4.11", "OU")
	switch {
	case err != nil:
		return fmt.Errorf("%w; %s", err, mend)
	case ou != s.OrgID:
		return fmt.Errorf("has OU %s, but the software statement is of organisation %s; %s", refusal.Quote(ou), refusal.Quote(s.OrgID), mend)
	}
	return nil
}

func bindOrganization(cert *Certificate, s *SoftwareStatement) error {
	const mend = "connect with a transport certificate of the organisation"
	text, err := cert.OrganizationIdentifier()
	if err != nil {
		return fmt.Errorf("%w; %s", err, mend)
	}
	id, err := ParsePSPIdentifier(text)
	if err != nil {
		return fmt.Errorf("has an organizationIdentifier that cannot be compared: %w; %s", err, mend)
	}
	named, err := namesOrganization(id, s)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be bound: the software statement's %w", err)
	case !named:
		return fmt.Errorf("has organizationIdentifier %s, which is not organisation %s of the software statement; %s", refusal.Quote(text), refusal.Quote(s.OrgID), mend)
	}
	return nil
}

// namesOrganization tells whether the identifier is that of the statement's
// organisation. Only two members of a statement can say so, both set by the
// directory, and they are compared exactly:
//
//   - organisation_competent_authority_claims: authority_id is the authority and
//     its country, registration_id the number. PSDGB-FCA-730427 is FCAGBR, 730427,
//     and PSDGB-OB-Unknown0015800001HQQrZAAX is OBGBR, Unknown0015800001HQQrZAAX.
//     An authority_id without a country is not enough: FMA is one in Austria and
//     another in Liechtenstein.
//   - org_id, where the Open Banking directory itself is the authority:
//     PSDGB-OB-<org_id>, and PSDGB-OB-Unknown<org_id>, as it writes for an
//     organisation without a registration of its own.
//
// org_name and the like are no identifiers. Whether the registration is active
// is not asked here but by the policy.
func namesOrganization(id PSPIdentifier, s *SoftwareStatement) (bool, error) {
	if id.Country == "GB" && id.Authority == "OB" && (id.Number == s.OrgID || id.Number == "Unknown"+s.OrgID) {
		return true, nil
	}
	const member = "organisation_competent_authority_claims"
	claims, _, err := s.stated().Object(member)
	if err != nil {
		return false, fmt.Errorf("%s %w", member, err)
	}
	authority, _, err := claims.String("authority_id")
	if err != nil {
		return false, fmt.Errorf("%s: authority_id %w", member, err)
	}
	number, _, err := claims.String("registration_id")
	if err != nil {
		return false, fmt.Errorf("%s: registration_id %w", member, err)
	}
	country := countries[id.Country]
	return country != "" && authority == id.Authority+country && number == id.Number, nil
}

// countries are those of PSD2 and the United Kingdom (ISO 3166): certificates
// name them with two letters, the Open Banking directory with three.
var countries = map[string]string{
	"AT": "AUT", "BE": "BEL", "BG": "BGR", "CY": "CYP", "CZ": "CZE", "DE": "DEU", "DK": "DNK", "EE": "EST", "ES": "ESP", "FI": "FIN",
	"FR": "FRA", "GB": "GBR", "GR": "GRC", "HR": "HRV", "HU": "HUN", "IE": "IRL", "IS": "ISL", "IT": "ITA", "LI": "LIE", "LT": "LTU",
	"LU": "LUX", "LV": "LVA", "MT": "MLT", "NL": "NLD", "NO": "NOR", "PL": "POL", "PT": "PRT", "RO": "ROU", "SE": "SWE", "SI": "SVN", "SK": "SVK",
}

// bindJWKS looks for the certificate itself, not for its name or its key: the
// directory withdraws a certificate by taking it out of the JWKS. A JWKS that cannot be
// used only counts where no other one has it.
func bindJWKS(ctx context.Context, cert *Certificate, sources []KeySource) error {
	var unavailable error
	var refused *refusal.Error
	for _, ask := range []func(KeySource, context.Context) ([]Key, error){KeySource.Keys, KeySource.Refresh} {
		for _, source := range sources {
			keys, err := ask(source, ctx)
			if err != nil {
				if why := (*refusal.Error)(nil); !errors.As(err, &why) {
					unavailable = err
				} else if refused == nil {
					refused = why
				}
				continue
			}
			if slices.ContainsFunc(keys, func(k Key) bool {
				return k.Use == "tls" && len(k.Certificates) > 0 && bytes.Equal(k.Certificates[0], cert.Leaf.Raw) && k.certifies(cert.Leaf)
			}) {
				return nil
			}
		}
	}
	switch {
	case unavailable != nil:
		return unavailableKeys(unavailable)
	case refused != nil:
		return refused
	}
	return errors.New("not among the tls certificates in the JWKS of the software or of its organisation; connect with one that the directory publishes")
}
