package registry_test

import (
	"errors"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// failingSealer seals as plain does, but for one time.
type failingSealer struct {
	plain
	next error
}

func (f *failingSealer) Seal(secret []byte, context string) ([]byte, error) {
	if err := f.next; err != nil {
		f.next = nil
		return nil, err
	}
	return f.plain.Seal(secret, context)
}

// TestUpdateThatCannotBeStored: what fails after the AS has taken an update, and
// before the last transaction, holds nothing. The client may be changed at once, and the
// AS is told the old metadata again.
func TestUpdateThatCannotBeStored(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, fault := range map[string]func(*failingSealer, *registry.Registration){
		"credentials": func(f *failingSealer, _ *registry.Registration) { f.next = broken },
		"subject":     func(_ *failingSealer, in *registry.Registration) { in.Checked.RawSubject = []byte("no DN") },
	} {
		t.Run(name, func(t *testing.T) {
			sealer := new(failingSealer)
			runSealed(t, true, sealer, func(x *fixture) {
				c := x.register(request("jti1", ""))
				in := narrower("jti2")
				fault(sealer, &in)
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); err == nil {
					x.t.Fatal("updated")
				}
				x.settle() // what tells the AS again may hold it just now; the update's lease goes on for a minute
				if now, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || now.Change != "" {
					x.t.Fatalf("still held: %+v, %v", now, err)
				}
				x.together(c.ClientID, "openid accounts")
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err != nil {
					x.t.Errorf("the same request once more: %v", err)
				}
				if keys := x.keys("later/"); len(keys) > 0 {
					x.t.Errorf("left behind: %q", keys)
				}
			})
		})
	}
}
