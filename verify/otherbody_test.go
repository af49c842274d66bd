package verify

import (
	"net/url"
	"testing"
)

func TestFormOfJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "", `{"grant_type":"client_credentials","scope":""}`: "grant_type=client_credentials&scope=",
		`{"client_id":"c","client_secret":null}`: "client_id=c", `{"client\u005fid":"a b"}`: "client_id=a+b",
		`{"client_id":["c"],"max_age":1}`: "client_id=" + url.QueryEscape(`["c"]`) + "&max_age=1",
	} {
		if got, err := FormOfJSON([]byte(body)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", body, got, err, want)
		}
	}
	for _, body := range []string{"", "[]", `"x"`, `client_id=c`, `{"client_id":"c","client_id":"d"}`, "\ufeff{}", "{\x00\"a\x00\":1}", `{"a":"` + "\xff" + `"}`, `{} {}`} {
		if got, err := FormOfJSON([]byte(body)); err == nil {
			t.Errorf("%q is read as %q", body, got)
		}
	}
}

func TestAuthenticatesByBasicAlone(t *testing.T) {
	basic := []string{basicHeader("app:s")}
	good := assertionOf(`{"iss":"app","sub":"app"}`)
	for _, tc := range []struct {
		name        string
		header      []string
		query, form string
		want        bool
	}{
		{"Basic", basic, "", "grant_type=x", true},
		{"Basic without a password", []string{basicHeader("app:")}, "", "grant_type=x", true},
		{"its own id in the body", basic, "", "client_id=app", true},
		{"empty credentials", basic, "", "client_id=&client_secret=", true},
		{"a grant of another", basic, "", "assertion=" + assertionOf(`{"iss":"idp","sub":"user"}`), true},
		{"none", nil, "", "client_id=app", false},
		{"a token", []string{"Bearer x"}, "", "client_id=app", false},
		{"two headers", append(basic, basic...), "", "", false},
		{"Basic without an id", []string{basicHeader(":s")}, "", "", false},
		{"Basic that cannot be read", []string{"Basic *"}, "", "", false},
		{"another id in the body", basic, "", "client_id=c", false},
		{"another id in the query", basic, "client_id=c", "", false},
		{"its own id in the query", basic, "client_id=app", "", false},
		{"a secret too", basic, "", "client_secret=s", false},
		{"an assertion too", basic, "", "client_assertion=" + good, false},
		{"another spelling", basic, "", "Client_Id=c", false},
		{"twice", basic, "scope=a", "scope=b", false},
		{"what is no UTF-8", basic, "", "scope=%e9", true},
		{"a null byte in an id", basic, "", "client_id=app%00", false},
		{"a null byte in a name", basic, "", "client_id%00=c", false},
	} {
		if got := AuthenticatesByBasicAlone(tc.header, tc.query, tc.form); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
