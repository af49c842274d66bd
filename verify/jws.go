package verify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// DefaultAlgorithms are the signature algorithms that are accepted when the
// operator names none (FAPI 1 Advanced 8.6).
var DefaultAlgorithms = []string{"PS256", "ES256"}

// SupportedAlgorithms are those that an operator may name. HMAC and none never are.
var SupportedAlgorithms = []string{"PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "EdDSA"}

// JWS is a compact JWS that has been split and whose header has been checked.
// Nothing of it may be believed before Keys.verify has returned a key.
type JWS struct {
	// Raw is the token as received, without a trailing line end.
	Raw []byte
	// Algorithm and KeyID are the header's alg and kid. KeyID may be empty.
	Algorithm, KeyID string
	// Type is the header's typ as plainType writes it; empty for none.
	Type string
	// Claims is the payload.
	Claims strictjson.Object

	signature []byte
}

// signed is what the signature is over (RFC 7515 5.1).
func (t *JWS) signed() []byte { return t.Raw[:bytes.LastIndexByte(t.Raw, '.')] }

var strict = base64.RawURLEncoding.Strict()

// typ values that a registration request or an SSA may carry, or none. Everything else
// is another kind of token (at+jwt, logout+jwt ...) and is not taken for one.
var neutralTypes = []string{noType, "jwt", "jose", "jws"}

// noType in a list of types allows a header without typ.
const noType = ""

// plainType is a typ in the form in which it is compared (RFC 7515 4.1.9): media types have no
// case, and application/ may be left out.
func plainType(typ string) string { return strings.TrimPrefix(strings.ToLower(typ), "application/") }

// Header members that name or carry a key: the sender does not choose the key.
var keyMembers = []string{"jku", "jwk", "x5u", "x5c"}

// SplitJWS reads compact serialization (RFC 7515 7.1) strictly: three non-empty
// segments of canonical base64url, a header and a payload that are JSON objects
// without duplicate members, an alg of the list, no embedded key, no crit. types
// are the allowed typ values as plainType writes them, with noType where it may be absent;
// nil stands for the neutral ones.
func SplitJWS(raw []byte, algorithms, types []string) (*JWS, error) {
	if line, ok := bytes.CutSuffix(raw, []byte("\n")); ok { // one line end, with CR or without
		raw = bytes.TrimSuffix(line, []byte("\r"))
	}
	return split(raw, algorithms, types, strictjson.Parse, true)
}

// splitToken is SplitJWS for an access token of the AS, whose claims are read as one of
// its answers.
func splitToken(raw []byte, algorithms, types []string) (*JWS, error) {
	return split(raw, algorithms, types, strictjson.ParseAnswer, true)
}

// split reads the three segments. Without signed, raw ends in a period, so the
// third is empty: an unsecured JWS (RFC 7515 appendix A.5).
func split(raw []byte, algorithms, types []string, claims func([]byte) (strictjson.Object, error), signed bool) (*JWS, error) {
	first := bytes.IndexByte(raw, '.')
	last := bytes.LastIndexByte(raw, '.')
	if bytes.Count(raw, []byte(".")) != 2 {
		return nil, errors.New("is not a compact JWS of three segments")
	}
	header, err := segment(raw[:first], "header")
	if err != nil {
		return nil, err
	}
	payload, err := segment(raw[first+1:last], "payload")
	if err != nil {
		return nil, err
	}
	t := &JWS{Raw: raw}
	if signed {
		if t.signature, err = segment(raw[last+1:], "signature"); err != nil {
			return nil, err
		}
	}
	h, err := strictjson.ParseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("has a header that is no acceptable JSON object (%w)", err)
	}
	if err := t.readHeader(h, algorithms, types); err != nil {
		return nil, err
	}
	if t.Claims, err = claims(payload); err != nil {
		return nil, fmt.Errorf("has a payload that is no acceptable JSON object (%w)", err)
	}
	return t, nil
}

// StoredClaims reads the claims of a request or a software statement that was
// verified when it was stored: of a JWS, signed or not, or of bare JSON. Never for
// anything that comes from outside.
func StoredClaims(raw []byte) (strictjson.Object, error) {
	if bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return strictjson.Parse(raw)
	}
	return UnverifiedClaims(raw)
}

// UnverifiedClaims reads the payload of a JWS that a TPP has made, without believing it.
func UnverifiedClaims(raw []byte) (strictjson.Object, error) {
	return unverified(raw, strictjson.Parse)
}

// UnverifiedAnswer is UnverifiedClaims for one that the AS has made, as far as that can be
// known: an access token.
func UnverifiedAnswer(raw []byte) (strictjson.Object, error) {
	return unverified(raw, strictjson.ParseAnswer)
}

func unverified(raw []byte, read func([]byte) (strictjson.Object, error)) (strictjson.Object, error) {
	parts := bytes.Split(raw, []byte("."))
	if len(parts) != 3 {
		return strictjson.Object{}, errors.New("is not a compact JWS")
	}
	payload, err := segment(parts[1], "payload")
	if err != nil {
		return strictjson.Object{}, err
	}
	return read(payload)
}

func (t *JWS) readHeader(h strictjson.Object, algorithms, types []string) error {
	for _, m := range h.Members() {
		switch {
		case slices.Contains(keyMembers, m.Name):
			return fmt.Errorf("has the header member %s; keys come from the registered JWKS only, leave it out", refusal.Quote(m.Name))
		case m.Name == "crit" || m.Name == "b64":
			return fmt.Errorf("has the header member %s, which is not supported", refusal.Quote(m.Name))
		}
	}
	alg, ok, err := h.String("alg")
	if err != nil || !ok {
		return errors.New("has no alg in its header")
	}
	if !slices.Contains(algorithms, alg) {
		return fmt.Errorf("has alg %s; accepted are %s", refusal.Quote(alg), strings.Join(algorithms, ", "))
	}
	kid, _, err := h.String("kid")
	if err != nil {
		return fmt.Errorf("has a kid that %w", err)
	}
	typ, ok, err := h.String("typ")
	if err != nil {
		return fmt.Errorf("has a typ that %w", err)
	}
	if types == nil {
		types = neutralTypes
	}
	kind := plainType(typ)
	if ok && kind == noType || !slices.Contains(types, kind) {
		return fmt.Errorf("has typ %s, which is another kind of token", refusal.Quote(typ))
	}
	t.Algorithm, t.KeyID, t.Type = alg, kid, kind
	return nil
}

// segment decodes one. encoding/base64 skips CR and LF even when strict, so one
// JWS would have many spellings.
func segment(s []byte, name string) ([]byte, error) {
	if len(s) == 0 {
		return nil, fmt.Errorf("has an empty %s", name)
	}
	out := make([]byte, strict.DecodedLen(len(s)))
	_, err := strict.Decode(out, s)
	switch {
	case bytes.IndexByte(s, '\n') >= 0, bytes.IndexByte(s, '\r') >= 0, err != nil && bytes.ContainsFunc(s, notBase64URL):
		return nil, fmt.Errorf("has a %s that is not base64url", name)
	case err != nil:
		return nil, fmt.Errorf("has a %s that is not canonical base64url", name)
	}
	return out, nil
}

func notBase64URL(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
}
