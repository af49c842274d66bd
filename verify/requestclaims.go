package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
	"github.com/google/uuid"
)

var base62 = regexp.MustCompile(`^[0-9A-Za-z]{1,22}$`)

// checkClaims checks the claims of the JWT itself (not the metadata) against the
// rules. In an unsigned body each may be absent.
func (r *Request) checkClaims(checks *trace.Trace, rules *RequestRules, now time.Time) error {
	for _, check := range []struct {
		claim, clause string
		run           func(*RequestRules, time.Time) error
	}{
		{"iss", "RFC 7519 4.1.1, DCR 3.2", r.checkIssuer}, {"aud", "RFC 7519 4.1.3, DCR 3.2", r.checkAudience},
		{"iat, exp, nbf", "RFC 7519 4.1.4 to 4.1.6", r.checkTimes}, {"jti", "RFC 7519 4.1.7, DCR 3.2", r.checkJTI},
	} {
		if one := !strings.Contains(check.claim, ","); one && rules.Unsigned && !r.Claims.Has(check.claim) {
			continue
		}
		checks.BeginWith("request", check.claim, check.clause, func() any { return r.Claims.Only(strings.Split(check.claim, ", ")...) })
		if err := check.run(rules, now); err != nil {
			return err
		}
	}
	if r.Issuer == "" { // unsigned
		r.Issuer = r.Statement.SoftwareID
	}
	if r.JTI == "" { // unsigned: nothing tells a copy from a second request
		r.JTI = uuid.NewString()
	}
	return nil
}

// checkIssuer checks iss against the software that the statement is for.
func (r *Request) checkIssuer(rules *RequestRules, _ time.Time) error {
	var said bool
	var err error
	if r.Issuer, said, err = r.Claims.String("iss"); err != nil {
		return refuseRequest("iss", "%w; send the software_id", err)
	}
	claim, want := "software_id", r.Statement.SoftwareID
	if rules.IssuerClaim != "" && !rules.NoStatement {
		claim = rules.IssuerClaim
		if want, _, err = r.Statement.Claims.String(claim); err != nil || want == "" {
			return refusal.New(refusal.InvalidSoftwareStatement, claim, "software_statement: %s is missing, which iss is compared with; get a new statement", claim)
		}
	}
	switch {
	case !said && want == "":
		return refuseRequest("iss", "missing")
	case !said:
		return refuseRequest("iss", "missing; send the %s, %s", claim, refusal.Quote(want))
	case r.Issuer != want:
		return refuseRequest("iss", "%s, but the software statement is for %s %s; send the %s", refusal.Quote(r.Issuer), claim, refusal.Quote(want), claim)
	case !base62.MatchString(r.Issuer) && !(rules.Lenient.allows("software_id") && isUUID(r.Issuer)):
		return refuseRequest("iss", "%s is not 1 to 22 letters and digits; the directory must issue such a %s", refusal.Quote(r.Issuer), claim)
	}
	return nil
}

func (r *Request) checkAudience(rules *RequestRules, _ time.Time) error {
	if rules.Lenient.allows("aud") && !r.Claims.Has("aud") {
		return nil
	}
	audiences, err := stringOrList(r.Claims, "aud")
	if err != nil {
		return refuseRequest("aud", "%w; send %s", err, refusal.QuoteEach(rules.Audiences, " or "))
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(rules.Audiences, a) }) {
		return refuseRequest("aud", "%s; send %s", refusal.Quote(strings.Join(audiences, " ")), refusal.QuoteEach(rules.Audiences, " or "))
	}
	return nil
}

// checkJTI settles what makes the request single-use. Where it may be absent, the
// hash of what was signed stands for it: SplitJWS leaves a JWS one spelling.
func (r *Request) checkJTI(rules *RequestRules, _ time.Time) error {
	if rules.Lenient.allows("jti") && !r.Claims.Has("jti") {
		sum := sha256.Sum256(r.Raw[:bytes.LastIndexByte(r.Raw, '.')])
		r.JTI = "sha256:" + hex.EncodeToString(sum[:])
		return nil
	}
	jti, ok, err := r.Claims.String("jti")
	if err != nil || !ok {
		return refuseRequest("jti", "missing or not a string; send a new UUID v4")
	}
	if id, err := uuid.Parse(jti); !isUUID(jti) || err != nil || id.Version() != 4 || id.Variant() != uuid.RFC4122 {
		return refuseRequest("jti", "%s is not a UUID v4; send a new one", refusal.Quote(jti))
	}
	r.JTI = strings.ToLower(jti)
	return nil
}

// isUUID tells the one spelling that has dashes and nothing else around the digits.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

func (r *Request) checkTimes(rules *RequestRules, now time.Time) error {
	skew, most := rules.Skew, rules.MaxLifetime
	if skew == 0 {
		skew = DefaultSkew
	}
	if most == 0 {
		most = DefaultMaxLifetime
	}
	var at [3]time.Time
	for i, name := range []string{"iat", "exp", "nbf"} {
		t, ok, err := r.Claims.Time(name)
		switch {
		case err != nil:
			return refuseRequest(name, "%w; send seconds since 1970 as a plain number", err)
		case ok:
			at[i] = t
		case name != "nbf" && !rules.Unsigned:
			return refuseRequest(name, "missing; send seconds since 1970")
		case name == "iat": // unsigned
			at[i] = now
		case name == "exp": // and so it lives no longer
			at[i], most = now.Add(skew), math.MaxInt64
		}
	}
	iat, exp, nbf := at[0], at[1], at[2]
	r.Expires = exp
	switch {
	case iat.After(now.Add(skew)):
		return refuseRequest("iat", "%s is in the future; it is %s here", stamp(iat), stamp(now))
	case nbf.After(now.Add(skew)):
		return refuseRequest("nbf", "%s is in the future; it is %s here", stamp(nbf), stamp(now))
	case !exp.After(now):
		return refuseRequest("exp", "expired at %s, it is %s here; sign a new request", stamp(exp), stamp(now))
	case exp.Sub(iat) > most:
		return refuseRequest("exp", "%s after iat; at most %s are accepted", exp.Sub(iat), most)
	}
	if _, said, err := r.Claims.Integer("iat"); !said { // unsigned: whoever sends it again may change it too
		return err
	}
	return r.checkEpoch(rules.Epoch, iat, now)
}

// stringOrList reads a claim that RFC 7519 lets be a string or an array of them.
func stringOrList(o strictjson.Object, name string) ([]string, error) {
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
