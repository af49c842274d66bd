package check

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// TestFourEyesNeedTwoCertificates, which only a JSON configuration has.
func TestFourEyesNeedTwoCertificates(t *testing.T) {
	const identity = `"identity":{"identifiers":["gateway.bank.co.uk"]},`
	for admin, want := range map[string]string{
		`{}`: "knows none",
		`{"remote":{"access_control":[{"public_keys":["a","b"]}]}}`:                                                   "knows none", // no identity
		`{` + identity + `"remote":{"access_control":[]}}`:                                                            "knows none",
		`{` + identity + `"remote":{"access_control":[{"public_keys":["a"]}]}}`:                                       "knows one",
		`{` + identity + `"remote":{"access_control":[{"public_keys":["a"]},{"public_keys":["b"]}]}}`:                 "",
		`{` + identity + `"remote":{"access_control":[{"public_keys":["a","b"]}]}}`:                                   "",
		`{"disabled":true,` + identity + `"remote":{"access_control":[{"public_keys":["a"]},{"public_keys":["b"]}]}}`: "knows none",
	} {
		c := &configuration{global: caddymodule.App{FourEyes: []string{"delete"}}}
		if err := json.Unmarshal([]byte(`{"admin":`+admin+`}`), &c.tree); err != nil {
			t.Fatal(err)
		}
		i := &inspection{configuration: c, check: &Check{Name: "four-eyes-without-certificates"}}
		fourEyesWithoutCertificates(i)
		switch {
		case want == "" && len(i.findings) > 0, want != "" && (len(i.findings) != 1 || !strings.Contains(i.findings[0].Found, want)):
			t.Errorf("%s: %+v, want %q", admin, i.findings, want)
		}
	}
}
