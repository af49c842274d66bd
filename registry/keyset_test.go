package registry_test

import (
	"bytes"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func TestKeyset(t *testing.T) {
	t.Parallel()
	k, text, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal([]byte("secret"), "client/a/1")
	if err != nil || bytes.Contains(sealed, []byte("secret")) {
		t.Fatalf("%q, %v; want no secret in it", sealed, err)
	}
	same, err := registry.ReadKeyset(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := same.Open(sealed, "client/a/1"); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v; want secret", got, err)
	}
	if _, err := same.Open(sealed, "client/a/2"); err == nil {
		t.Error("opened for another record")
	}
	other, _, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(sealed, "client/a/1"); err == nil {
		t.Error("opened with another keyset")
	}
	if _, err := registry.ReadKeyset([]byte("{}")); err == nil {
		t.Error("read an empty keyset")
	}
}
