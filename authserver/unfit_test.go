package authserver_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// TestUnfitDocument: all that a document lacks is told at once, and what can be read of it
// is there all the same.
func TestUnfitDocument(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document(
		"id_token_signing_alg_values_supported", `["RS256"]`,
		"request_object_signing_alg_values_supported", `["none"]`,
		"scopes_supported", `["profile"]`,
		"token_endpoint_auth_methods_supported", `["none"]`)))
	_, err := e.Metadata(t.Context())
	var unfit *authserver.UnfitError
	if !errors.As(err, &unfit) || len(unfit.Lacks) != 4 {
		t.Fatalf("got %v, want four things that the document lacks", err)
	}
	for _, want := range []string{"id_token_signing_alg_values_supported: ", "request_object_signing_alg_values_supported: ", "scopes_supported: ", "token_endpoint_auth_methods_supported: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if unfit.Metadata == nil || unfit.Metadata.Path("token_endpoint") == "" {
		t.Error("the endpoints were not read")
	}
	var nothing *authserver.NothingInCommonError
	if !errors.As(err, &nothing) {
		t.Errorf("got %v, want a NothingInCommonError in it", err)
	}
}
