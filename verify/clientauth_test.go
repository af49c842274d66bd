package verify

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func basicHeader(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func assertionOf(claims string) string {
	return b64(`{"alg":"PS256"}`) + "." + b64(claims) + "." + b64("s")
}

func TestReadClientAuthentication(t *testing.T) {
	good := assertionOf(`{"iss":"c","sub":"c"}`)
	for _, tc := range []struct {
		name        string
		header      []string
		query, form string
		want        ClientAuthentication
	}{
		{"nothing", nil, "", "grant_type=client_credentials&scope=", ClientAuthentication{}},
		{"form", nil, "", "client_id=c&x=y", ClientAuthentication{ClientIDs: []string{"c"}}},
		{"query", nil, "client_id=c", "", ClientAuthentication{ClientIDs: []string{"c"}, InQuery: true}},
		{"escaped name and value", nil, "", "client%5Fid=%63", ClientAuthentication{ClientIDs: []string{"c"}}},
		{"empty id", nil, "", "client_id=", ClientAuthentication{Empty: true}},
		{"empty id in the query", nil, "client_id=", "client_id=c&x=y", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "client_id", Empty: true}},
		{"Basic", []string{basicHeader("c:secret")}, "", "", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true}},
		{"Basic without secret", []string{basicHeader("c:")}, "", "", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true}},
		{"Basic in lower case", []string{"basic" + basicHeader("c:s")[5:]}, "", "", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true}},
		{"Basic with colons", []string{basicHeader("c:s:t")}, "", "", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true}},
		{"Basic form-encoded is both", []string{basicHeader("a%2Fb:s")}, "", "", ClientAuthentication{ClientIDs: []string{"a/b", "a%2Fb"}, Secret: true}},
		{"another scheme", []string{"Bearer abc"}, "", "client_id=c", ClientAuthentication{ClientIDs: []string{"c"}}},
		{"secret", nil, "", "client_id=c&client_secret=s", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true}},
		{"empty secret", nil, "", "client_id=c&client_secret=", ClientAuthentication{ClientIDs: []string{"c"}, Empty: true}},
		{"secret without =", nil, "", "client_id=c&client_secret", ClientAuthentication{ClientIDs: []string{"c"}, Empty: true}},
		{"empty secret, escaped", nil, "", "client_id=c&client%5Fsecret=", ClientAuthentication{ClientIDs: []string{"c"}, Empty: true}},
		{"empty secret in query", nil, "client_secret=", "client_id=c", ClientAuthentication{ClientIDs: []string{"c"}, Empty: true}},
		{"two empty secrets", nil, "", "client_id=c&client_secret=&client_secret=", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "client_secret", Empty: true}},
		{"empty secret beside one", nil, "", "client_id=c&client_secret=&client_secret=s", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true, Repeated: "client_secret", Empty: true}},
		{"blank as secret", nil, "", "client_id=c&client_secret=+", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true}},
		{"empty assertion", nil, "", "client_id=c&client_assertion=&client_assertion_type=", ClientAuthentication{ClientIDs: []string{"c"}, Empty: true}},
		{"empty assertion beside one", nil, "", "client_assertion=&client_assertion=" + good, ClientAuthentication{ClientIDs: []string{"c"}, Assertion: true, Repeated: "client_assertion", Empty: true}},
		{"empty grant of a JWT", nil, "", "grant_type=x&assertion=", ClientAuthentication{}},
		{"resources and audiences", nil, "audience=z", "client_id=c&resource=a&resource=b&audience=x&audience=&resource=", ClientAuthentication{ClientIDs: []string{"c"}}},
		{"another spelling of resource", nil, "", "client_id=c&Resource=a&Resource=b", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "Resource"}},
		{"empty one beside another parameter", nil, "", "client_id=c&scope=&scope=a", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "scope"}},
		{"secret in query", nil, "client_secret=s", "client_id=c", ClientAuthentication{ClientIDs: []string{"c"}, Secret: true, InQuery: true}},
		{"assertion", nil, "", "client_assertion_type=t&client_assertion=" + good, ClientAuthentication{ClientIDs: []string{"c"}, Assertion: true, assertion: good, assertionType: "t"}},
		{"assertion without iss", nil, "", "client_assertion=" + assertionOf(`{"sub":"c"}`), ClientAuthentication{ClientIDs: []string{"c"}, Assertion: true, assertion: assertionOf(`{"sub":"c"}`)}},
		{"grant of a JWT alone", nil, "", "grant_type=x&assertion=" + assertionOf(`{"iss":"c","sub":"user"}`), ClientAuthentication{ClientIDs: []string{"c"}}},
		{"grant of a JWT beside the client", nil, "", "client_id=d&assertion=" + assertionOf(`{"iss":"idp","sub":"user"}`), ClientAuthentication{ClientIDs: []string{"d"}}},
		{"grant of something else", nil, "", "grant_type=x&assertion=PHNhbWw", ClientAuthentication{}},
		{"assertion of another", nil, "", "client_id=d&client_assertion=" + good, ClientAuthentication{ClientIDs: []string{"d", "c"}, Assertion: true, assertion: good}},
		{"Basic of another", []string{basicHeader("d:s")}, "", "client_id=c", ClientAuthentication{ClientIDs: []string{"d", "c"}, Secret: true}},
		{"query of another", nil, "client_id=d", "client_id=c", ClientAuthentication{ClientIDs: []string{"d", "c"}, Repeated: "client_id", InQuery: true}},
		{"same id twice", nil, "", "client_id=c&client_id=c", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "client_id"}},
		{"same id four times", nil, "", "client_id=c&client_id=c&client_id=c&client_id=c", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "client_id"}},
		{"same id twice, escaped", nil, "", "client_id=c&client%5Fid=c", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "client_id"}},
		{"empty one is one", nil, "", "client_id=c&client_id=", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "client_id", Empty: true}},
		{"query and form", nil, "scope=a", "client_id=c&scope=a", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "scope"}},
		{"null byte", nil, "", "client_id=c&scope=a%00b", ClientAuthentication{ClientIDs: []string{"c"}, Garbled: "scope"}},
		{"not UTF-8", nil, "", "client_id=c&%ff=b", ClientAuthentication{ClientIDs: []string{"c"}, Garbled: "\xff"}},
		{"null byte in a name", nil, "%00=b", "client_id=c", ClientAuthentication{ClientIDs: []string{"c"}, Garbled: "\x00"}},
		{"first name of several", nil, "", "z=1&z=2&a=1&a=2&m=1&m=2&client_id=c", ClientAuthentication{ClientIDs: []string{"c"}, Repeated: "a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadClientAuthentication(tc.header, tc.query, tc.form)
			got.secrets = sentSecrets{} // TestSecretMethods has them
			if err != nil || !reflect.DeepEqual(*got, tc.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

// What two servers may read in two ways.
func TestReadClientAuthenticationRefuses(t *testing.T) {
	good := assertionOf(`{"iss":"c","sub":"c"}`)
	for _, tc := range []struct {
		name        string
		header      []string
		query, form string
		word        string
	}{
		{"two headers", []string{basicHeader("c:s"), "Bearer x"}, "", "", "more than once"},
		{"Basic not base64", []string{"Basic *"}, "", "", "Basic"},
		{"Basic without padding", []string{"Basic YTpiYw"}, "", "", "Basic"},
		{"Basic of another last character", []string{"Basic YTpiYx=="}, "", "", "Basic"},
		{"Basic without colon", []string{basicHeader("c")}, "", "", "Basic"},
		{"Basic with half an escape", []string{basicHeader("c%2:s")}, "", "", "Basic"},
		{"Basic not UTF-8", []string{basicHeader("c\xff:s")}, "", "", "client_id"},
		{"Basic with escaped NUL", []string{basicHeader("c%00:s")}, "", "", "client_id"},
		{"semicolon", nil, "", "client_id=c;client_id=d", "x-www-form-urlencoded"},
		{"semicolon in query", nil, "a;b", "client_id=c", "x-www-form-urlencoded"},
		{"half an escape", nil, "", "client_id=%6", "x-www-form-urlencoded"},
		{"half an escape elsewhere", nil, "", "client_id=c&x=%zz", "x-www-form-urlencoded"},
		{"id not UTF-8", nil, "", "client_id=%ff", "client_id"},
		{"NUL in id", nil, "", "client_id=c%00d", "client_id"},
		{"name in capitals", nil, "", "Client_ID=c", "Client_ID"},
		{"name with a dot", nil, "", "client.secret=c", "client.secret"},
		{"name with brackets", nil, "", "client_assertion[]=c", "client_assertion"},
		{"byte order mark", nil, "", "\ufeffclient_id=c", "client_id"},
		{"byte order mark, escaped", nil, "", "%EF%BB%BFclient_id=c", "client_id"},
		{"blank without a width", nil, "", "client%E2%80%8B_id=c", "client"},
		{"a list", nil, "", "client_id%5B0%5D=c", "client_id"},
		{"another i", nil, "", "client_%C4%B1d=c", "client"},
		{"Kelvin sign elsewhere, long s", nil, "", "client_%C5%BFecret=c", "client"},
		{"characters of another set", nil, "", "\x1b(Bclient_id=c", "control characters"},
		{"line end in a name", nil, "", "\nclient_id=c", "control characters"},
		{"blank before the scheme", []string{" Basic YTpiYw=="}, "", "", "Authorization"},
		{"blank after Basic", []string{"Basic YTpiYw== "}, "", "", "Authorization"},
		{"name with a blank", nil, "+client_id=c", "", "client_id"},
		{"id with a blank", nil, "", "client_id=c%20", "client_id"},
		{"five ids", nil, "", "client_id=a&client_id=b&client_id=c&client_id=d&client_id=e", "too often"},
		{"five assertions", nil, "", "client_id=c&client_assertion=" + strings.Repeat(good+"&client_assertion=", 4) + good, "too often"},
		{"tab after the scheme", []string{"Basic\tYzpz"}, "", "", "Authorization"},
		{"empty assertion in another spelling", nil, "", "Client_Assertion=", "Client_Assertion"},
		{"two grants of a JWT, the first empty", nil, "", "assertion=&assertion=" + assertionOf(`{"iss":"c"}`), "assertion: not one that all servers read alike"},
		{"two grants of a JWT, the first something else", nil, "", "assertion=x&assertion=" + assertionOf(`{"iss":"c"}`), "assertion"},
		{"grant of a JWT with iss twice", nil, "", "assertion=" + assertionOf(`{"iss":"c","iss":"d"}`), "assertion"},
		{"grant of a JWT whose iss is no text", nil, "", "assertion=" + assertionOf(`{"iss":1}`), "assertion"},
		{"grant of a JWT in other base64", nil, "", "assertion=" + good[:strings.LastIndexByte(good, '.')] + "=" + good[strings.LastIndexByte(good, '.'):], "assertion"},
		{"assertion of two segments", nil, "", "client_assertion=" + good[:strings.LastIndexByte(good, '.')], "client_assertion"},
		{"encrypted assertion", nil, "", "client_assertion=a.b.c.d.e", "client_assertion"},
		{"assertion with sub twice", nil, "", "client_assertion=" + assertionOf(`{"sub":"c","sub":"d"}`), "client_assertion"},
		{"assertion with SUB only", nil, "", "client_assertion=" + assertionOf(`{"SUB":"c"}`), "client_assertion"},
		{"assertion with empty sub", nil, "", "client_assertion=" + assertionOf(`{"sub":""}`), "client_assertion"},
		{"assertion with a number", nil, "", "client_assertion=" + assertionOf(`{"sub":1}`), "client_assertion"},
		{"assertion whose iss is another", nil, "", "client_assertion=" + assertionOf(`{"iss":"d","sub":"c"}`), "client_assertion"},
		{"assertion whose iss is a list", nil, "", "client_assertion=" + assertionOf(`{"iss":["c"],"sub":"c"}`), "client_assertion"},
		{"second of two assertions", nil, "", "client_assertion=" + good + "&client_assertion=x", "client_assertion"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadClientAuthentication(tc.header, tc.query, tc.form)
			if err == nil {
				t.Fatalf("read as %+v", got)
			}
			wantRefusal(t, err, refusal.MalformedRequest, tc.word)
		})
	}
}

func TestCheckClient(t *testing.T) {
	subject := nameOf(t, "CN=x,O=Bank,C=GB")
	cert, other := &Certificate{Subject: nameOf(t, "C=GB,O=BANK,CN=x")}, &Certificate{Subject: nameOf(t, "C=GB,O=Bank,CN=y")}
	tls := &Authenticator{ClientID: "c", Method: "tls_client_auth", Subject: subject}
	jwt := &Authenticator{ClientID: "c", Method: "private_key_jwt", Subject: subject}
	both := &Authenticator{ClientID: "c", Method: "private_key_jwt", Subject: subject, NeedsCertificate: true}
	unknown := &Authenticator{ClientID: "c", Method: "private_key_jwt", NeedsCertificate: true}
	ids := []string{"c"}
	for _, tc := range []struct {
		name string
		got  ClientAuthentication
		as   *Authenticator
		cert *Certificate
		kind refusal.Kind
		word string
	}{
		{"certificate", ClientAuthentication{ClientIDs: ids}, tls, cert, 0, ""},
		{"assertion", ClientAuthentication{ClientIDs: ids, Assertion: true}, jwt, nil, 0, ""},
		{"assertion and any certificate", ClientAuthentication{ClientIDs: ids, Assertion: true}, jwt, other, 0, ""},
		{"assertion and its certificate, needed", ClientAuthentication{ClientIDs: ids, Assertion: true}, both, cert, 0, ""},
		{"assertion and no certificate, needed", ClientAuthentication{ClientIDs: ids, Assertion: true}, both, nil, refusal.InvalidClient, "presents its certificate"},
		{"assertion and another certificate, needed", ClientAuthentication{ClientIDs: ids, Assertion: true}, both, other, refusal.InvalidClient, "is not that of the certificate with which"},
		{"certificate and no assertion, needed", ClientAuthentication{ClientIDs: ids}, both, cert, refusal.InvalidClient, "send a client_assertion"},
		{"assertion and any certificate, needed and none known", ClientAuthentication{ClientIDs: ids, Assertion: true}, unknown, other, 0, ""},
		{"assertion and no certificate, needed and none known", ClientAuthentication{ClientIDs: ids, Assertion: true}, unknown, nil, refusal.InvalidClient, "presents its certificate"},
		{"no certificate", ClientAuthentication{ClientIDs: ids}, tls, nil, refusal.InvalidClient, "transport certificate"},
		{"another certificate", ClientAuthentication{ClientIDs: ids}, tls, other, refusal.InvalidClient, "subject of the presented certificate"},
		{"certificate without subject", ClientAuthentication{ClientIDs: ids}, tls, &Certificate{}, refusal.InvalidClient, "subject"},
		{"nothing registered, nothing presented", ClientAuthentication{ClientIDs: ids}, &Authenticator{ClientID: "c", Method: "tls_client_auth"}, &Certificate{}, refusal.InvalidClient, "subject"},
		{"certificate client with assertion", ClientAuthentication{ClientIDs: ids, Assertion: true}, tls, cert, refusal.InvalidClient, "no client_assertion"},
		{"certificate client with secret", ClientAuthentication{ClientIDs: ids, Secret: true}, tls, cert, refusal.InvalidClient, "has no secret"},
		{"assertion client with certificate only", ClientAuthentication{ClientIDs: ids}, jwt, cert, refusal.InvalidClient, "send a client_assertion"},
		{"assertion client with secret too", ClientAuthentication{ClientIDs: ids, Assertion: true, Secret: true}, jwt, cert, refusal.InvalidClient, "has no secret"},
		{"two ids", ClientAuthentication{ClientIDs: []string{"c", "d"}}, tls, cert, refusal.InvalidClient, "different clients"},
		{"no id", ClientAuthentication{}, tls, cert, refusal.InvalidClient, "different clients"},
		{"repeated parameter", ClientAuthentication{ClientIDs: ids, Repeated: "scope"}, tls, cert, refusal.MalformedRequest, "scope"},
		{"null byte", ClientAuthentication{ClientIDs: ids, Garbled: "scope"}, tls, cert, refusal.MalformedRequest, "null byte"},
		{"id in the address", ClientAuthentication{ClientIDs: ids, InQuery: true}, tls, cert, refusal.MalformedRequest, "in the address"},
		{"another method", ClientAuthentication{ClientIDs: ids, Assertion: true}, &Authenticator{ClientID: "c", Method: "self_signed_tls_client_auth"}, cert, refusal.InvalidClient, "self_signed_tls_client_auth"},
		{"no method", ClientAuthentication{ClientIDs: ids}, &Authenticator{ClientID: "c"}, cert, refusal.InvalidClient, "not supported"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.got.CheckClient(tc.as, tc.cert)
			if tc.kind != 0 {
				wantRefusal(t, err, tc.kind, tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
