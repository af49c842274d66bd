package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestLimit: a page has a hundred entries where a call does not say how many, and a
// thousand at most.
func TestLimit(t *testing.T) {
	for text, want := range map[string]int{"": 100, "1": 1, "1000": 1000, "1001": 0, "0": 0, "-1": 0, "x": 0} {
		if got, err := limit(text); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

// numbering is an AS that gives clients numbers.
type numbering struct {
	registry.Provisioner
	clients, deleted int
	// lost: the answers to registrations are.
	lost bool
	// down: it deletes nothing.
	down bool
}

func (n *numbering) Delete(context.Context, *registry.Client) error {
	if n.down {
		return errors.New("down")
	}
	n.deleted++
	return nil
}

func (*numbering) ChoosesClientID() bool { return false }

func (n *numbering) Create(_ context.Context, c *registry.Client) (*registry.Provisioned, error) {
	if n.lost {
		return nil, registry.ErrLost
	}
	n.clients++
	return &registry.Provisioned{ClientID: fmt.Sprint(n.clients), Metadata: c.Metadata}, nil
}

// TestLargeEntriesHaveShortPages: a page of registrations, or of explanations, has a hundred
// at most, whatever the call says.
func TestLargeEntriesHaveShortPages(t *testing.T) {
	start(t)
	running, err := caddy.ActiveContext().AppIfConfigured("openbanking_dcr")
	if err != nil {
		t.Fatal(err)
	}
	keyset, _, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	const many = 101
	store := memory.Open(memory.Options{})
	if err := keepExplanations(t.Context(), store, many); err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: keyset})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	registerMany(t, r, many)
	for name, list := range map[string]func(*call) (any, error){"registrations": (*call).registrations, "explanations": (*call).explanations} {
		t.Run(name, func(t *testing.T) {
			c := &call{r: httptest.NewRequest("GET", prefix+name, nil), app: running.(*caddymodule.App), registry: r, parameters: map[string]string{"workspace": "default/obuk", "limit": "1000"}}
			for _, want := range []int{100, 1} {
				answer, err := list(c)
				if err != nil {
					t.Fatal(err)
				}
				text, err := json.Marshal(answer)
				if err != nil {
					t.Fatal(err)
				}
				var page struct {
					Entries []json.RawMessage
					Next    string
				}
				if err := json.Unmarshal(text, &page); err != nil {
					t.Fatal(err)
				}
				if len(page.Entries) != want || (page.Next != "") != (want == 100) {
					t.Errorf("got %d and the next %q, want %d", len(page.Entries), page.Next, want)
				}
				c.parameters["cursor"] = page.Next
			}
		})
	}
}

// keepExplanations has a store hold explanations as the registry keeps them.
func keepExplanations(ctx context.Context, store registry.Store, many int) error {
	now := time.Now()
	for i := range many {
		text, err := json.Marshal(registry.Explanation{Workspace: "default/obuk", SupportCode: fmt.Sprint(i), At: now})
		if err != nil {
			return err
		}
		if err := store.Update(ctx, func(w registry.Writer) error {
			return w.PutExpiring(fmt.Sprintf("explanation/00/%02x", i), fmt.Appendf(nil, "%d\n%s", i, text), now.Add(time.Hour))
		}); err != nil {
			return err
		}
	}
	return nil
}

// registerMany registers clients.
func registerMany(t *testing.T, r *registry.Registry, many int) {
	t.Helper()
	ws := registry.Workspace{Name: "default/obuk", Provisioner: new(numbering)}
	for i := range many {
		if _, err := r.Register(t.Context(), ws, registers(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// registers is the i-th registration.
func registers(i int) registry.Registration {
	part := base64.RawURLEncoding.EncodeToString
	jws := func(payload string) string {
		return part([]byte(`{"alg":"PS256"}`)) + "." + part([]byte(payload)) + ".c2ln"
	}
	id := fmt.Sprint("software-", i)
	return registry.Registration{
		Request: &verify.Request{
			Raw: []byte(jws(`{"software_statement":"` + jws(`{"software_id":"`+id+`"}`) + `"}`)), Issuer: id, JTI: id, Expires: time.Now().Add(time.Hour),
			Statement: &verify.SoftwareStatement{SoftwareID: id, OrgID: "org", ClientName: "A TPP", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}},
		},
		Checked: &verify.Checked{Metadata: verify.Metadata{TokenEndpointAuthMethod: "tls_client_auth"}},
	}
}
