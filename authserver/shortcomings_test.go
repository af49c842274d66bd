package authserver_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestShortcomings: what the log says once is kept with each document.
func TestShortcomings(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document("scopes_supported", `["openid","accounts"]`)))
	m := e.metadata()
	found := ""
	for _, one := range m.Shortcomings {
		found += one.Check + " " + strings.Join(one.Scopes, " ") + ";"
	}
	if !strings.Contains(found, "as-scopes-missing payments fundsconfirmations") {
		t.Errorf("got %q, want the scopes that are missing", found)
	}
}
