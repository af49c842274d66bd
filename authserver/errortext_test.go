package authserver

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// TestErrorTextLength: of the error text of an AS 200 bytes are repeated.
func TestErrorTextLength(t *testing.T) {
	for size, want := range map[int]string{200: strings.Repeat("x", 200), 201: strings.Repeat("x", 200) + "..."} {
		if got := words(&reply{Response: &jwks.Response{Body: []byte(`{"error":"` + strings.Repeat("x", size) + `"}`)}}); got != want {
			t.Errorf("%d bytes: got %d, %q, want %d", size, len(got), got, len(want))
		}
	}
}

// TestNamedMetadata: a TPP is told eight names of client metadata at most.
func TestNamedMetadata(t *testing.T) {
	body := `{"error":"invalid_client_metadata","error_description":"` + strings.Join(metadataNames[:9], " ") + `"}`
	if got := named(&reply{Response: &jwks.Response{Body: []byte(body)}}); !slices.Equal(got, metadataNames[:8]) {
		t.Errorf("got %q, want %q", got, metadataNames[:8])
	}
}
