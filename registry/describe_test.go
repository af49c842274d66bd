package registry_test

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// A PUT replaces the whole record: an address that the new statement no longer has is gone.
func TestUpdateForgetsAddresses(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		in := request("jti1", "")
		claims, err := strictjson.Parse([]byte(`{"software_client_uri":"https://a.example","software_logo_uri":"https://a.example/l","software_policy_uri":"https://a.example/p","software_tos_uri":"https://a.example/t"}`))
		if err != nil {
			t.Fatal(err)
		}
		in.Request.Statement.Claims = claims
		c := x.register(in)
		if c.ClientURI == "" || c.LogoURI == "" || c.PolicyURI == "" || c.TOSURI == "" {
			t.Fatalf("%+v, want all four addresses", c)
		}
		in = request("jti2", "")
		in.Certificate = nil
		c, err = x.Update(x.t.Context(), x.ws, c.ClientID, in)
		if err != nil || c.ClientURI+c.LogoURI+c.PolicyURI+c.TOSURI != "" {
			t.Errorf("%+v, %v; want no address", c, err)
		}
	})
}
