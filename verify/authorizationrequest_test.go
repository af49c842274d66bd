package verify

import (
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestReadAuthorizationRequest(t *testing.T) {
	object := func(claims string) string { return "request=" + b64(`{"alg":"none"}`) + "." + b64(claims) + "." }
	for _, tc := range []struct {
		name, query, form string
		want              []string
		unclear           string // for a client of the registry
	}{
		{"query", "response_type=code&client_id=c", "", []string{"c"}, ""},
		{"form", "", "client%5Fid=%63", []string{"c"}, ""},
		{"parameters of others twice", "client_id=c&resource=a&resource=b&x=%ff", "", []string{"c"}, ""},
		{"request object", "client_id=c&" + object(`{"client_id":"c","iss":"c"}`), "", []string{"c"}, ""},
		{"request object that names nobody", "client_id=c&" + object(`{}`), "", []string{"c"}, ""},
		{"encrypted request object", "client_id=c&request=a..b.c.d", "", []string{"c"}, ""},
		{"reference", "client_id=c&request_uri=urn:x", "", []string{"c"}, ""},
		{"empty ones", "client_id=c&request=&request_uri=", "", []string{"c"}, ""},
		{"nobody", "response_type=code&client_id=&request_uri=", "", nil, ""},
		{"twice", "client_id=c&client_id=c", "", []string{"c"}, "client_id: sent more than once; send it once"},
		{"four times", "client_id=a&client_id=b&client_id=c&client_id=d", "", []string{"a", "b", "c", "d"}, "client_id: sent more than once"},
		{"one of them empty", "client_id=&client_id=c", "", []string{"c"}, "client_id: sent more than once"},
		{"in query and form", "client_id=c", "client_id=d", []string{"c", "d"}, "client_id: sent more than once"},
		{"request twice", "client_id=c&" + object(`{}`) + "&" + object(`{"iss":"d"}`), "", []string{"c", "d"}, "request: sent more than once"},
		{"reference twice", "client_id=c&request_uri=x&request_uri=y", "", []string{"c"}, "request_uri: sent more than once"},
		{"request object of another", "client_id=c&" + object(`{"client_id":"d"}`), "", []string{"c", "d"}, "client_id: the parameter and the request object name different clients; send one"},
		{"request object with another issuer", "client_id=c&" + object(`{"client_id":"c","iss":"d"}`), "", []string{"c", "d"}, "client_id: the parameter and the request object name different clients"},
		{"request object alone", object(`{"client_id":"c"}`), "", []string{"c"}, "client_id: only in the request object; send the parameter too"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := ReadAuthorizationRequest(tc.query, tc.form)
			if err != nil || !slices.Equal(a.ClientIDs, tc.want) {
				t.Fatalf("got %+v, %v, want %v", a, err, tc.want)
			}
			err = a.CheckRegistered()
			if tc.unclear == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, refusal.MalformedRequest, tc.unclear)
		})
	}
}

// What two servers may read in two ways, or the gateway cannot read at all.
func TestReadAuthorizationRequestRefuses(t *testing.T) {
	object := func(payload string) string { return "client_id=c&request=" + b64(`{}`) + "." + payload + "." }
	for _, tc := range []struct{ name, query, form, word string }{
		{"capitals", "Client_ID=c", "", "'Client_ID': spell it as OAuth does; send each parameter once"},
		{"a list", "", "client_id%5B0%5D=c", "'client_id[0]': spell it as OAuth does"},
		{"a null byte", "client_id%00=c", "", "spell it as OAuth does"},
		{"request in capitals", "client_id=c&REQUEST=x", "", "'REQUEST': spell it as OAuth does"},
		{"reference with a dash", "client_id=c&request-uri=x", "", "'request-uri': spell it as OAuth does"},
		{"semicolon", "a=b;client_id=c", "", "the parameters are not application/x-www-form-urlencoded; send each parameter once"},
		{"half an escape", "client_id=%6", "", "the parameters are not application/x-www-form-urlencoded"},
		{"control characters", "", "\x1b(Bclient_id=c", "the parameters have control characters; send each parameter once"},
		{"often", "client_id=a&client_id=b&client_id=c&client_id=d&client_id=e", "", "client_id: sent too often; send each parameter once"},
		{"requests often", "request=a&request=b&request=c&request=d&request=e", "", "request: sent too often"},
		{"references often", "request_uri=a&request_uri=b&request_uri=c&request_uri=d&request_uri=e", "", "request_uri: sent too often"},
		{"blank", "client_id=c+", "", "client_id: not UTF-8, or with blanks around it; send each parameter once"},
		{"null byte in the id", "client_id=c%00", "", "client_id: not UTF-8, or with blanks around it"},
		{"not UTF-8", "client_id=%ff", "", "client_id: not UTF-8, or with blanks around it"},
		{"reference alone", "request_uri=urn:x", "", "client_id: missing beside request_uri; send both"},
		{"reference and no value", "client_id=&request_uri=urn:x", "", "client_id: missing beside request_uri; send both"},
		{"encrypted alone", "request=a..b.c.d", "", "client_id: missing beside request; send both"},
		{"no JWT", "client_id=c&request=x", "", "request: not a JWT that all servers read alike; send each parameter once"},
		{"JSON serialization", `client_id=c&request={"payload":"e30"}`, "", "request: not a JWT that all servers read alike"},
		{"padded", object(b64(`{"iss":"c"}`) + "="), "", "request: not a JWT that all servers read alike"},
		{"twice", object(b64(`{"client_id":"c","client_id":"d"}`)), "", "request: not a JWT that all servers read alike"},
		{"client_id a list", object(b64(`{"client_id":["d"]}`)), "", "request: client_id is not a string in it; send each parameter once"},
		{"iss a list", object(b64(`{"iss":["d"]}`)), "", "request: iss is not a string in it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ReadAuthorizationRequest(tc.query, tc.form)
			wantRefusal(t, err, refusal.MalformedRequest, tc.word)
		})
	}
}
