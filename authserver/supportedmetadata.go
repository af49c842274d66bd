package authserver

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// list is one of the lists of a discovery document that decide about registrations.
type list struct {
	name   string
	values *[]string
	// needed: none in common is an error only where a client cannot do without.
	needed bool
}

// lists are all of them but that of the authentication methods.
func lists(a *verify.SupportedMetadata) []list {
	return []list{
		{"token_endpoint_auth_signing_alg_values_supported", &a.AuthSigningAlgs, false},
		{"grant_types_supported", &a.GrantTypes, true},
		{"response_types_supported", &a.ResponseTypes, false}, // see withoutCode
		{"id_token_signing_alg_values_supported", &a.IDTokenAlgs, true},
		{"request_object_signing_alg_values_supported", &a.RequestObjectAlgs, true},
		{"scopes_supported", &a.Scopes, true},
		{"backchannel_token_delivery_modes_supported", &a.BackchannelModes, false},
		{"backchannel_authentication_request_signing_alg_values_supported", &a.BackchannelAlgs, false},
	}
}

// supported are the lists that the operator may correct.
var supported = func() []string {
	names := []string{authMethods}
	for _, l := range lists(new(verify.SupportedMetadata)) {
		names = append(names, l.name)
	}
	return names
}()

// NothingInCommonError is a list of the AS's discovery document of which registrations
// can use no value, and cannot do without.
type NothingInCommonError struct {
	// List is the member of the document.
	List string
	// Has are its values, Needs those of which the configuration needs one.
	Has, Needs []string
}

func (e *NothingInCommonError) Error() string {
	return fmt.Sprintf("%s: the authorization server has %s, registrations need one of %s", e.List,
		refusal.Quote(strings.Join(e.Has, ", ")), strings.Join(e.Needs, ", "))
}

// sortedWords is a response type that compares equal to the same in another order.
func sortedWords(v string) string {
	words := strings.Fields(v)
	slices.Sort(words)
	return strings.Join(words, " ")
}

const authorizationCode = "authorization_code"

// withoutCode takes the grant away at an AS that has no response type, which it needs
// (RFC 7591 2.1).
func withoutCode(a *verify.SupportedMetadata) error {
	if len(a.ResponseTypes) > 0 {
		return nil
	}
	a.GrantTypes = slices.DeleteFunc(slices.Clone(a.GrantTypes), func(g string) bool { return g == authorizationCode })
	if len(a.GrantTypes) == 0 {
		return errors.New("response_types_supported: the authorization server has none, and of grant_types_supported only authorization_code, which needs one")
	}
	return nil
}

// supportedMetadata cuts the operator's lists down to what the AS says that it can do.
// The operator's order stays: the preferred value is first. How clients authenticate
// is not the AS's matter alone: in bridge mode they do so at the gateway. wrong is all that
// registrations cannot do without.
func (s *Server) supportedMetadata(document strictjson.Object) (a verify.SupportedMetadata, b bridging, wrong []error) {
	a = s.Supported
	for _, c := range lists(&a) {
		supported, ok, err := document.Strings(c.name)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s %w", c.name, err))
			continue
		}
		if !ok {
			continue // an AS that does not say is tried
		}
		var both []string
		for _, v := range *c.values {
			if slices.ContainsFunc(supported, func(o string) bool { return sortedWords(o) == sortedWords(v) }) {
				both = append(both, v)
			}
		}
		if c.needed && len(both) == 0 || c.name == "response_types_supported" && len(both) == 0 && len(supported) > 0 && slices.Contains(a.GrantTypes, authorizationCode) {
			wrong = append(wrong, &NothingInCommonError{c.name, supported, *c.values})
			continue // the configured values stay, so that nothing else seems to be wrong
		}
		*c.values = both
	}
	if err := withoutCode(&a); err != nil {
		wrong = append(wrong, err)
	}
	// An AS without the endpoint has no CIBA, whatever it leaves unsaid.
	if !document.Has("backchannel_authentication_endpoint") || !slices.Contains(a.GrantTypes, verify.GrantCIBA) || len(a.BackchannelModes) == 0 || len(a.BackchannelAlgs) == 0 {
		a.BackchannelModes, a.BackchannelAlgs = nil, nil
		a.GrantTypes = slices.DeleteFunc(slices.Clone(a.GrantTypes), func(g string) bool { return g == verify.GrantCIBA })
	}
	var err error
	if b, a.AuthMethods, err = s.bridging(document, a.AuthSigningAlgs); err != nil {
		wrong = append(wrong, err)
	}
	if !slices.Contains(b.native, "private_key_jwt") && slices.Contains(a.AuthMethods, "private_key_jwt") {
		a.AuthSigningAlgs = s.Supported.AuthSigningAlgs // of assertions for the gateway
	}
	return a, b, wrong
}
