package verify

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

var base62 = regexp.MustCompile(`^[0-9A-Za-z]{1,22}$`)

// checkClaims holds the claims of the JWT itself (not the metadata) against the rules.
func (r *Request) checkClaims(rules *RequestRules, now time.Time) error {
	var err error
	if r.Issuer, _, err = r.Claims.String("iss"); err != nil {
		return refuseRequest("iss", "%w", err)
	}
	switch {
	case r.Issuer != r.Statement.SoftwareID:
		return refuseRequest("iss", "%s, but the software statement is for software_id %s; send the software_id", Quote(r.Issuer), Quote(r.Statement.SoftwareID))
	case !base62.MatchString(r.Issuer):
		return refuseRequest("iss", "%s is not 1 to 22 letters and digits", Quote(r.Issuer))
	}
	audiences, err := stringOrList(r.Claims, "aud")
	if err != nil {
		return refuseRequest("aud", "%w", err)
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(rules.Audiences, a) }) {
		return refuseRequest("aud", "%s; send %s", Quote(strings.Join(audiences, " ")), Quote(strings.Join(rules.Audiences, " or ")))
	}
	if err := r.checkTimes(rules, now); err != nil {
		return err
	}
	jti, ok, err := r.Claims.String("jti")
	if err != nil || !ok {
		return refuseRequest("jti", "missing or not a string; send a new UUID v4")
	}
	if id, err := uuid.Parse(jti); err != nil || len(jti) != 36 || id.Version() != 4 || id.Variant() != uuid.RFC4122 {
		return refuseRequest("jti", "%s is not a UUID v4", Quote(jti))
	}
	r.JTI = strings.ToLower(jti)
	return nil
}

func (r *Request) checkTimes(rules *RequestRules, now time.Time) error {
	skew, most := rules.Skew, rules.MaxLifetime
	if skew == 0 {
		skew = DefaultSkew
	}
	if most == 0 {
		most = DefaultMaxLifetime
	}
	var at [2]int64
	for i, name := range []string{"iat", "exp"} {
		n, ok, err := r.Claims.Integer(name)
		if err != nil {
			return refuseRequest(name, "%w; send seconds since 1970 as a plain number", err)
		}
		if !ok {
			return refuseRequest(name, "missing; send seconds since 1970")
		}
		at[i] = n
	}
	iat, exp := time.Unix(at[0], 0), time.Unix(at[1], 0)
	r.Expires = exp
	switch {
	case iat.After(now.Add(skew)):
		return refuseRequest("iat", "%s is in the future; it is %s here", stamp(at[0]), now.UTC().Format(time.RFC3339))
	case !exp.After(now):
		return refuseRequest("exp", "expired at %s, it is %s here; sign a new request", stamp(at[1]), now.UTC().Format(time.RFC3339))
	case exp.Sub(iat) > most:
		return refuseRequest("exp", "%s after iat; at most %s are accepted", exp.Sub(iat), most)
	}
	return nil
}

// stringOrList reads a claim that RFC 7519 lets be a string or an array of them.
func stringOrList(o Object, name string) ([]string, error) {
	if !o.Has(name) {
		return nil, errors.New("missing")
	}
	if s, _, err := o.String(name); err == nil {
		return []string{s}, nil
	}
	list, _, err := o.Strings(name)
	if err != nil {
		return nil, fmt.Errorf("%w", err)
	}
	return list, nil
}
