package registry

// asked names what the request asks for. It may fail, so that it comes before anything
// is held.
func (in Registration) asked() (string, error) {
	if in.Asked != nil {
		return asked(in.Asked)
	}
	return asked(&in.Checked.Metadata)
}

// describe takes what the record needs from an accepted request, which asks for asked.
// It cannot fail: of a change the client is held by now.
func (c *Client) describe(in Registration, asked string) {
	c.Asked = asked
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
	if in.Certificate != nil {
		c.Thumbprint = in.Certificate.Thumbprint
		if c.Metadata.TokenEndpointAuthMethod != "tls_client_auth" && in.Certificate.Leaf != nil {
			c.Subject = in.Certificate.Leaf.RawSubject // manages the client, although it does not authenticate it
		}
	}
}
