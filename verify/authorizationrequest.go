package verify

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// AuthorizationRequest is what a request to the authorization endpoint says about the
// client for which a user is asked. Nothing of it is verified.
type AuthorizationRequest struct {
	// ClientIDs are all different ids that a server could take: those of the parameter
	// client_id, and client_id and iss of a request object (RFC 9101 5) that can be read.
	ClientIDs []string

	unclear error // why a client of the registry cannot be sure to be the only one
}

// authorizationNames are the parameters that name a client, or what names one.
var authorizationNames = []string{"client_id", "request", "request_uri"}

// ReadAuthorizationRequest reads the client of a request from its query and its form body.
// What cannot be read in exactly one way is refused, whoever sends it, and so is a request
// that only what the gateway cannot read could name a client for: the parameter client_id
// is required beside request and request_uri too (RFC 9101 5, RFC 9126 4).
//
// Errors: MalformedRequest.
func ReadAuthorizationRequest(query, form string) (*AuthorizationRequest, error) {
	refuse := func(text string) (*AuthorizationRequest, error) {
		return nil, refusal.New(refusal.MalformedRequest, "authorization_request", "%s", refusal.Advise(errors.New(text), "send each parameter once, spelt and encoded as RFC 6749 says"))
	}
	all, _, err := readParameters(query, form)
	if err != nil {
		return refuse(err.Error())
	}
	for name := range all {
		if !slices.Contains(authorizationNames, name) && isSpelling(name, authorizationNames) {
			return refuse(refusal.Quote(name) + ": spell it as OAuth does")
		}
	}
	a := &AuthorizationRequest{}
	for _, name := range authorizationNames {
		if len(all[name]) > maxRepeats {
			return refuse(name + ": sent too often") // each would be looked up
		}
		if len(all[name]) > 1 && a.unclear == nil {
			a.unclear = errors.New(name + ": sent more than once; send it once")
		}
	}
	for _, id := range all["client_id"] {
		a.add(id)
	}
	named := len(a.ClientIDs) > 0
	for _, object := range all["request"] {
		if !present(object) {
			continue
		}
		encrypted, err := a.readObject(object)
		switch {
		case err != nil:
			return refuse("request: " + err.Error())
		case encrypted && !named:
			return refuse("client_id: missing beside request; send both")
		}
	}
	if !named && slices.ContainsFunc(all["request_uri"], present) {
		return refuse("client_id: missing beside request_uri; send both")
	}
	for _, id := range a.ClientIDs {
		if !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) || strings.TrimSpace(id) != id {
			return refuse("client_id: not UTF-8, or with blanks around it")
		}
	}
	switch {
	case a.unclear != nil, len(a.ClientIDs) == 0:
	case !named:
		a.unclear = errors.New("client_id: only in the request object; send the parameter too")
	case len(a.ClientIDs) > 1:
		a.unclear = errors.New("client_id: the parameter and the request object name different clients; send one")
	}
	return a, nil
}

// CheckRegistered refuses a request that names a client of the registry and is not clearly
// for that client alone.
//
// Errors: MalformedRequest.
func (a *AuthorizationRequest) CheckRegistered() error {
	if a.unclear == nil {
		return nil
	}
	return refusal.New(refusal.MalformedRequest, "authorization_request", "%w", a.unclear)
}

func (a *AuthorizationRequest) add(id string) {
	if id != "" && !slices.Contains(a.ClientIDs, id) {
		a.ClientIDs = append(a.ClientIDs, id)
	}
}

// readObject adds the clients that a request object names. One that is encrypted names
// none that anybody but the AS could read; whoever it is for must be the client_id.
func (a *AuthorizationRequest) readObject(object string) (encrypted bool, err error) {
	if strings.Count(object, ".") == 4 {
		return true, nil
	}
	claims, err := UnverifiedClaims([]byte(object))
	if err != nil {
		return false, errors.New("not a JWT that all servers read alike")
	}
	for _, name := range []string{"client_id", "iss"} {
		id, _, err := claims.String(name)
		if err != nil {
			return false, errors.New(name + " is not a string in it")
		}
		a.add(id)
	}
	return false, nil
}
