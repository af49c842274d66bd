package selftest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// TestMembersAreKnown: of each member of the directive it is decided whether a selftest keeps
// or replaces it. A new one that names no server, file or secret belongs to keptMembers. Any
// other belongs to replacedMembers, and into the code that replaces it.
func TestMembersAreKnown(t *testing.T) {
	for _, of := range []struct {
		of    any
		known []string
	}{
		{caddymodule.Handler{}, append(slices.Clone(keptMembers), replacedMembers...)},
		{caddymodule.AuthorizationServer{}, append(slices.Clone(keptServerMembers), "tls_client_auth", "proxy", "dn_format")},
		{caddymodule.SoftwareStatement{}, append(slices.Clone(keptStatementMembers), "jwks", "proxy")},
	} {
		members := membersOf(reflect.TypeOf(of.of))
		for _, name := range members {
			if !slices.Contains(of.known, name) {
				t.Errorf("%T has the member %s: a selftest neither keeps nor replaces it", of.of, name)
			}
		}
		for _, name := range of.known {
			if name != "handler" && !slices.Contains(members, name) {
				t.Errorf("%T has no member %s", of.of, name)
			}
		}
	}
}

// membersOf are the names in JSON of a struct, with those that it embeds.
func membersOf(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, membersOf(f.Type)...)
		case f.IsExported() && name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}
