package verify

import (
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestReadPresentedToken(t *testing.T) {
	for _, tc := range []struct {
		name        string
		header      []string
		query, form string
		want        PresentedToken
	}{
		{"nothing", nil, "a=b", "c=d", PresentedToken{}},
		{"header", []string{"Bearer abc"}, "a=b", "", PresentedToken{"abc", true}},
		{"header in other case", []string{"bEARER  abc"}, "", "", PresentedToken{"abc", true}},
		{"DPoP", []string{"DPoP abc"}, "", "", PresentedToken{"abc", false}},
		{"query", nil, "access_token=abc", "", PresentedToken{"abc", false}},
		{"form", nil, "", "access%5ftoken=a%2Bc", PresentedToken{"a+c", false}},
		{"without a value", nil, "access_token=", "", PresentedToken{}},
		{"without a value, beside the header", []string{"Bearer abc"}, "access_token=", "", PresentedToken{"abc", true}},
		{"name and password", []string{"Basic aWQ6c2VjcmV0"}, "", "", PresentedToken{}},
		{"name and password after blanks", []string{"Basic   aWQ6c2VjcmV0"}, "", "", PresentedToken{}},
		{"name and password, and the form", []string{"basic aWQ6c2VjcmV0"}, "", "access_token=x", PresentedToken{"x", false}},
		{"other tokens", nil, "", "token=x&subject_token=y&access_token_hash=z", PresentedToken{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := ReadPresentedToken(tc.header, tc.query, tc.form); err != nil || got != tc.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

// What two servers may read in two ways.
func TestReadPresentedTokenRefuses(t *testing.T) {
	const twice = "access token: sent more than once; send it once, in Authorization: Bearer"
	for _, tc := range []struct {
		name        string
		header      []string
		query, form string
		kind        refusal.Kind
		word        string
	}{
		{"two headers", []string{"Bearer a", "Bearer a"}, "", "", refusal.MalformedRequest, twice},
		{"token as Basic", []string{"Basic abc"}, "", "", refusal.InvalidToken, "malformed"},
		{"JWT as Basic", []string{"Basic e30.e30.c2ln"}, "", "", refusal.InvalidToken, "malformed"},
		{"token that is base64 as Basic", []string{"Basic gP+AOv+A"}, "", "", refusal.InvalidToken, "malformed"},
		{"token as Digest", []string{"Digest abc"}, "", "", refusal.InvalidToken, "malformed"},
		{"token as Negotiate", []string{"nEGOTIATE abc"}, "", "", refusal.InvalidToken, "malformed"},
		{"two headers of two schemes", []string{"Basic a", "Bearer a"}, "", "", refusal.MalformedRequest, twice},
		{"header and query", []string{"Bearer a"}, "access_token=a", "", refusal.MalformedRequest, twice},
		{"header and form", []string{"DPoP a"}, "", "access_token=a", refusal.MalformedRequest, twice},
		{"query and form", nil, "access_token=a", "access_token=a", refusal.MalformedRequest, twice},
		{"twice in the query", nil, "access_token=&access_token=a", "", refusal.MalformedRequest, twice},
		{"in capitals", nil, "Access_Token=a", "", refusal.MalformedRequest, "access token: the parameter 'Access_Token' is not spelt as OAuth does; send it once"},
		{"a list", nil, "", "access_token[]=a", refusal.MalformedRequest, "access token: the parameter 'access_token[]' is not spelt"},
		{"no form", nil, "", "a;access_token=a", refusal.MalformedRequest, "access token: the parameters are not application/x-www-form-urlencoded; send it once"},
		{"control characters", nil, "", "\x1baccess_token=a", refusal.MalformedRequest, "access token: the parameters have control characters; send it once"},
		{"no scheme", []string{"abc"}, "", "", refusal.InvalidToken, "malformed"},
		{"an empty header", []string{""}, "", "", refusal.InvalidToken, "malformed"},
		{"unknown scheme", []string{"Token abc"}, "", "", refusal.InvalidToken, "malformed"},
		{"tab", []string{"Bearer\tabc"}, "", "", refusal.InvalidToken, "malformed"},
		{"two in one header", []string{"Bearer a, Bearer b"}, "", "", refusal.InvalidToken, "malformed"},
		{"blank in a parameter", nil, "access_token=%20a", "", refusal.InvalidToken, "malformed"},
		{"empty DPoP", []string{"DPoP "}, "", "", refusal.InvalidToken, "malformed"},
		{"too long", []string{"DPoP " + strings.Repeat("a", 8<<10+1)}, "", "", refusal.InvalidToken, "malformed"},
		{"an empty segment", nil, "access_token=a.b.c..", "", refusal.InvalidToken, "empty segment"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ReadPresentedToken(tc.header, tc.query, tc.form)
			wantRefusal(t, err, tc.kind, tc.word)
		})
	}
}
