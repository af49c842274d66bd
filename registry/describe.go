package registry

import "github.com/caddy-dcr/caddy-dcr/verify"

// metadataDigest names what the request asks for: its metadata, without what only the
// request itself is about (iat, exp, jti). It may fail, so that it comes before anything
// is held.
func (in Registration) metadataDigest() (string, error) {
	if in.RequestedMetadata != nil {
		return digest(in.RequestedMetadata)
	}
	return digest(&in.Checked.Metadata)
}

// describe takes what the record needs from an accepted request, which asks for what
// metadataDigest names. It cannot fail: of a change the client is held by now.
func (c *Client) describe(in Registration, metadataDigest string) {
	c.MetadataDigest = metadataDigest
	ssa := in.Request.Statement
	c.SoftwareID, c.OrgID, c.ClientName, c.Directory = ssa.SoftwareID, ssa.OrgID, ssa.ClientName, ssa.Issuer.Name
	c.Metadata, c.Subject, c.JWKSURI = in.Checked.Metadata, in.Checked.RawSubject, ssa.JWKSEndpoint
	c.RevokedJWKSURI = ssa.RevokedEndpoint
	c.SoftwareStatement, c.SubjectFrom = ssa.Raw, 0
	if !in.Checked.SubjectFrom.IsZero() {
		c.SubjectFrom = in.Checked.SubjectFrom.Unix()
	}
	for _, a := range []struct {
		claim string
		to    *string
	}{
		{"software_client_uri", &c.ClientURI}, {"software_logo_uri", &c.LogoURI},
		{"software_policy_uri", &c.PolicyURI}, {"software_tos_uri", &c.TOSURI},
	} {
		v, _, err := ssa.Claims.String(a.claim)
		if err != nil {
			v = "" // of another type than text it is not an address; the AS is told none
		}
		*a.to = v
	}
	c.StatementExpires = 0
	if exp, ok, err := ssa.Claims.NumericDate("exp"); err == nil && ok && exp.Year() <= maxYear {
		c.StatementExpires = exp.Unix()
	}
	if in.Certificate != nil {
		c.showedCertificate(in.Certificate)
		if c.Metadata.TokenEndpointAuthMethod != "tls_client_auth" && in.Certificate.Leaf != nil {
			c.Subject = in.Certificate.Leaf.RawSubject // manages the client, although it does not authenticate it
		}
	}
}

// maxYear is the last year that RFC 3339 can write: whatever ends later never does.
const maxYear = 9999

// showedCertificate keeps which certificate the client has last changed itself with.
func (c *Client) showedCertificate(cert *verify.Certificate) {
	c.Thumbprint, c.CertificateExpires = cert.Thumbprint, 0
	if cert.Leaf != nil && cert.Leaf.NotAfter.Year() <= maxYear {
		c.CertificateExpires = cert.Leaf.NotAfter.Unix()
	}
}
