package verify

import (
	"bytes"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// An issuer block may be a TPP's own organisation: it signs its statements
// itself, with a key of the JWKS that the operator configured for it, or not at
// all. An unsigned statement is an unsecured JWS (RFC 7515 appendix A.5). It is
// believed for one reason only: it is a claim of a request that is signed with
// that same JWKS. So its software_jwks_endpoint verifies nothing, and nothing
// that it names is fetched before the request is verified.

// splitStatement reads a software statement, signed or not, each as strictly. One
// whose signature was only taken away still has its alg, and is not unsigned.
func splitStatement(raw []byte, issuers []*Issuer) (t *JWS, unsigned bool, err error) {
	if bytes.HasSuffix(raw, []byte(".")) {
		if t, err := split(raw, []string{"none"}, nil, strictjson.Parse, false); err == nil {
			return t, true, nil
		}
	}
	t, err = SplitJWS(raw, algorithmsOf(issuers), nil)
	return t, false, err
}

// noStatement stands for the statement where none is demanded: the software is
// what the request says that it is.
func noStatement(claims strictjson.Object) (*SoftwareStatement, error) {
	s := &SoftwareStatement{None: true, Issuer: &Issuer{UnlistedRedirectURIs: true}}
	for _, c := range []struct {
		name string
		to   *string
	}{{"iss", &s.SoftwareID}, {"software_id", &s.SoftwareID}, {"client_name", &s.ClientName}} {
		v, ok, err := claims.String(c.name)
		if err != nil {
			return nil, refuseRequest(c.name, "%w", err)
		}
		if ok && c.to == &s.SoftwareID && !base62.MatchString(v) && !isUUID(v) {
			return nil, refuseRequest(c.name, "%s is not 1 to 22 letters and digits; send the software_id", refusal.Quote(v))
		}
		if ok {
			*c.to = v
		}
	}
	if len(s.ClientName) > maxClientName {
		return nil, refuseRequest("client_name", "longer than %d bytes", maxClientName)
	}
	return s, nil
}

// maxClientName bounds the one text of a request that the AS is told unseen.
const maxClientName = 256
