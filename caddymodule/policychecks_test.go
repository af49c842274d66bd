package caddymodule

import (
	"strings"
	"testing"
)

// A configuration in JSON is held to the same words as a Caddyfile.
func TestPolicyChecks(t *testing.T) {
	for _, tc := range []struct{ policies, want string }{
		{`null`, "policies[0]: must not be null"},
		{`{}`, "policy : must be a module of http.openbanking_dcr.policies"},
		{`{"policy":{"language":"cel","expression":"true"}},{"name":"cel-1","policy":{"language":"cel","expression":"true"}}`, "policy cel-1: name cel-1: must be unique in the workspace; policy 1 has it already"},
		{`{"on":["write"],"policy":{"language":"cel","expression":"true"}}`, `policy cel-1: on "write": must be some of`},
		{`{"text":"\u00fc","policy":{"language":"cel","expression":"true"}}`, "policy cel-1: text: the text has 'ü', which does not reach a TPP"},
		{`{"code":"x","policy":{"language":"cel","expression":"true"}}`, `policy cel-1: code "x": must be`},
		{`{"timeout":-1,"policy":{"language":"cel","expression":"true"}}`, "policy cel-1: timeout: must be positive"},
		{`{"timeout":1000000001,"policy":{"language":"cel","expression":"true"}}`, "policy cel-1: timeout: must be at most 1s, because a TPP waits for the answer"},
		{`{"on":["read","delete"],"policy":{"language":"cel","expression":"registration.scope == ''"}}`, "policy cel-1: on read delete: it reads registration, which is empty on read and delete; read client.metadata for what is registered, or ask on create and update"},
		{`{"on":["delete"],"policy":{"language":"cel","expression":"request.iss == 'x'"}}`, "policy cel-1: on delete: it reads request, which"},
		{`{"on":["read"],"policy":{"language":"cel","expression":"software.clients == 0"}}`, "policy cel-1: on read: it reads software, which"},
		{`{"on":["read","update"],"policy":{"language":"cel","expression":"registration.scope == ''"}}`, ""},
		{`{"on":["read"],"policy":{"language":"cel","expression":"client.metadata.scope == ''"}}`, ""},
		{`{"on":["read"],"policy":{"language":"weekdays"}}`, ""},
		{`{"text":"ask {env.CONTACT}","policy":{"language":"cel","expression":"true"}}`, "policy cel-1: text: the text has a placeholder, {env.X}, which is not replaced; write the value itself"},
		{`{"policy":{"language":"cel","expression":"true","file":"x"}}`, "must have one of expression and file"},
		{`{"policy":{"language":"cel","file":"/nowhere/policy.cel"}}`, "file /nowhere/policy.cel: no such file or directory"},
	} {
		t.Run(tc.policies, func(t *testing.T) {
			err := validateJSON(t, `{"apps":{"http":{"servers":{"a":{"routes":[{"handle":[{"handler":"openbanking_dcr","workspace":"w","authorization_server":{"url":"https://localhost:1/w","provision":{"method":"rfc7591"}},"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}],"policies":[`+tc.policies+`]}]}]}}}}}`)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
