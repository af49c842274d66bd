package forgetfulstore_test

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/forgetfulstore"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) registry.Store { return forgetfulstore.Open() })
}
