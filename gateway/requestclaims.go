package gateway

import (
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// requestClaims are those of the request JWT that the official files want in answers too.
var requestClaims = []string{"iss", "iat", "exp", "aud", "jti"}

// withRequestClaims is the JSON of a registration, with the claims of the request that it was
// made or last updated with in front where the bank answers them (AnswerRequestClaims). One
// that the request did not have is not there.
func (g *Gateway) withRequestClaims(registration []byte, request strictjson.Object) []byte {
	if !g.options.AnswerRequestClaims {
		return registration
	}
	b := append(make([]byte, 0, len(registration)+512), '{')
	for _, name := range requestClaims {
		value := request.Raw(name)
		if name == "aud" {
			value = g.oneAudience(request)
		}
		if value == nil {
			continue
		}
		b = append(strictjson.AppendString(b, name), ':')
		b = append(append(b, value...), ',')
	}
	return append(b, registration[1:]...) // which is never empty
}

// oneAudience is aud as the text that the files demand: of several values the first that is
// this bank's.
func (g *Gateway) oneAudience(request strictjson.Object) []byte {
	list, ok, err := request.Strings("aud")
	if err != nil || !ok || len(list) == 0 {
		return request.Raw("aud")
	}
	i := slices.IndexFunc(list, func(a string) bool { return slices.Contains(g.options.Rules.Audiences, a) })
	return strictjson.AppendString(nil, list[max(i, 0)])
}
