package verify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// PresentedToken is the access token of a request to a resource of the AS, userinfo for
// instance. Nothing of it is verified.
type PresentedToken struct {
	// Raw is the token, empty for none.
	Raw string
	// Bearer: it is in Authorization: Bearer, the one place that no log shows.
	Bearer bool
}

const sendBearer = "send it once, in Authorization: Bearer"

// ReadPresentedToken reads the access token of a request from wherever a server may take
// it: the Authorization header fields (RFC 6750 2.1; RFC 9449 7.1, whose tokens are spelt
// alike), the form (2.2), the query (2.3). What is there twice is refused (2): one server
// takes the first, another the last.
//
// Errors: MalformedRequest, InvalidToken.
func ReadPresentedToken(authorization []string, query, form string) (t PresentedToken, err error) {
	refuse := func(what string) (PresentedToken, error) {
		return PresentedToken{}, refusal.New(refusal.MalformedRequest, "access_token", "access token: %s", refusal.Advise(errors.New(what), sendBearer))
	}
	all, _, err := readParameters(query, form)
	if err != nil {
		return refuse(err.Error())
	}
	for name := range all {
		if name != "access_token" && isSpelling(name, []string{"access_token"}) {
			return refuse("the parameter " + refusal.Quote(name) + " is not spelt as OAuth does")
		}
	}
	places := slices.Clone(all["access_token"])
	if len(places) == 1 && places[0] == "" { // RFC 6749 3.1: as if it were not there
		places = nil
	}
	if len(authorization) == 1 {
		scheme, text, _ := strings.Cut(authorization[0], " ")
		switch {
		case strings.EqualFold(scheme, "DPoP"):
			places = append(places, strings.TrimLeft(text, " "))
		case strings.EqualFold(scheme, "Basic") && isUserPass(strings.TrimLeft(text, " ")): // no token looks like that
		default: // some servers read a token in whatever scheme, or without one
			text, err := BearerToken(authorization)
			if err != nil {
				return PresentedToken{}, err
			}
			places, t.Bearer = append(places, text), true
		}
	}
	switch {
	case len(authorization) > 1 || len(places) > 1:
		return refuse("sent more than once")
	case len(places) == 0:
		return PresentedToken{}, nil
	}
	t.Raw = places[0]
	return t, checkTokenText(t.Raw)
}

// isUserPass tells whether the credentials of a Basic header are a name and a password
// (RFC 7617 2), and so no access token: both are text, with a colon between.
func isUserPass(credentials string) bool {
	decoded, err := base64.StdEncoding.Strict().DecodeString(credentials)
	return err == nil && bytes.IndexByte(decoded, ':') >= 0 && utf8.Valid(decoded) && !bytes.ContainsFunc(decoded, unicode.IsControl)
}
