package verify

import (
	"net/url"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// FormOfJSON is a JSON object as the form in whose place some servers take it: each member is
// a parameter, null none (RFC 6749 3.2). What is not a string stands as its JSON text.
func FormOfJSON(body []byte) (string, error) {
	o, err := strictjson.Parse(body)
	if err != nil {
		return "", err
	}
	form := url.Values{}
	for _, m := range o.Members() {
		text, _, err := o.String(m.Name)
		if err != nil {
			text = string(m.Value)
		}
		form.Set(m.Name, text)
	}
	return form.Encode(), nil
}

// AuthenticatesByBasicAlone tells whether HTTP Basic is all that says who sends a request
// (RFC 6749 2.3: a client must not authenticate in two ways). Neither its query nor its form
// has a credential, another client_id, or a parameter twice.
func AuthenticatesByBasicAlone(authorization []string, query, form string) bool {
	basic, err := ReadClientAuthentication(authorization, "", "")
	if err != nil || len(basic.ClientIDs) == 0 {
		return false
	}
	all, err := ReadClientAuthentication(authorization, query, form)
	if err != nil || !slices.Equal(all.ClientIDs, basic.ClientIDs) || all.Assertion || all.InQuery || all.Repeated != "" {
		return false
	}
	body, err := ReadClientAuthentication(nil, query, form)
	return err == nil && !body.Secret
}
