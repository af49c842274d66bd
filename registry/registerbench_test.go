package registry_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// willing is an AS that costs nothing.
type willing struct{ registry.Provisioner }

func (willing) ChoosesClientID() bool            { return true }
func (willing) Revokes(registry.Revocation) bool { return false }
func (willing) Create(_ context.Context, c *registry.Client) (*registry.Provisioned, error) {
	return &registry.Provisioned{ClientID: c.ClientID, Metadata: c.Metadata}, nil
}

// BenchmarkRegister is what a registration costs the registry itself, apart from what
// the AS and a disk cost.
func BenchmarkRegister(b *testing.B) {
	store := memory.Open(memory.Options{})
	r, err := registry.Open(b.Context(), registry.Options{Store: store, Sealer: plain{}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}()
	ws := registry.Workspace{Name: "default/obuk", Provisioner: willing{}}
	ids := make([]string, b.N)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i, id := range ids {
		in := request(id, "token"+id)
		in.Request.Statement.SoftwareID = fmt.Sprint("software", i%100)
		if _, err := r.Register(b.Context(), ws, in); err != nil {
			b.Fatal(err)
		}
	}
}
