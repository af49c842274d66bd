package registry_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// as stands for the AS where a fault must be provoked; the real ones are in integration.
type as struct {
	mu      sync.Mutex
	chooses bool
	clients map[string]registry.Credentials
	scopes  map[string]string
	revoked []string
	// revocations are as whom they were.
	revocations []registry.Revocation
	calls       []string
	// statements are the software statements of creates and updates.
	statements []string
	// names are the DNs that came with them.
	names []string
	// fail answers a call in the AS's place; carriedOut says that it did its work first.
	fail       map[string][]error
	carriedOut bool
	// crash ends the goroutine of the next update after it was carried out.
	crash bool
	// hangsAt makes the next call take all the time that it has, and its answer get lost.
	hangsAt string
	// hangs makes all calls take all the time that they have.
	hangs bool
	// slow is how long an update's answer takes after it was carried out.
	slow time.Duration
	// elsewhere is why it is not the AS that answers.
	elsewhere error
	// unlike is what it has otherwise of a client, by client_id; gone are clients that it
	// answers 404 for; rotates gives another token with each read; inRead happens in each.
	unlike  map[string][]registry.Difference
	gone    map[string]bool
	rotates bool
	inRead  func(clientID string)
	// inUpdate happens in each update.
	inUpdate func()
	// noClient is a gateway without a client at the AS; during happens once while it creates one.
	noClient bool
	during   func()
	// madeWrong is the id of a client that it makes in another way than it is asked to.
	madeWrong string
	// odd is what the answer to a create becomes, nil where it stays as it is.
	odd func(*registry.Provisioned) (*registry.Provisioned, error)
	// secret is the client's secret after a call, for a client in bridge mode; before is
	// what it was, empty at its creation. nil: all clients are native.
	secret func(call, before string) string
	// keys names the keys of a software that it is told.
	keys string
	// ids are what it gives out instead of as-1, as-2, ...
	ids  []string
	next int
}

func newAS(chooses bool) *as {
	return &as{chooses: chooses, keys: "keys-1", clients: map[string]registry.Credentials{}, scopes: map[string]string{}, fail: map[string][]error{}}
}

func (a *as) called(ctx context.Context, call string) error {
	a.calls = append(a.calls, call)
	if a.hangsAt == call {
		a.hangsAt = ""
		<-ctx.Done()
		return registry.ErrLost
	}
	if list := a.fail[call]; len(list) > 0 {
		a.fail[call] = list[1:]
		return list[0]
	}
	return nil
}

func (a *as) withSecret(call string, c registry.Credentials) registry.Credentials {
	if a.secret == nil {
		c.ClientSecret = ""
		return c
	}
	c.Bridge, c.ClientSecret = "client_secret_basic", a.secret(call, c.ClientSecret)
	return c
}

func (a *as) ChoosesClientID() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.chooses }

func (a *as) Answers(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.elsewhere
}

func (a *as) Revokes(registry.Revocation) bool { return !a.noClient }

func (a *as) Create(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	if a.isHanging() {
		<-ctx.Done()
		return nil, registry.ErrLost
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.called(ctx, "create")
	if err != nil && !a.carriedOut {
		return nil, err
	}
	id := c.ClientID
	if !a.chooses {
		a.next++
		id = fmt.Sprintf("as-%d", a.next)
		if len(a.ids) > 0 {
			id, a.ids = a.ids[0], a.ids[1:]
		}
	}
	if a.madeWrong != "" {
		id = a.madeWrong
	}
	a.next++
	a.clients[id] = a.withSecret("create", registry.Credentials{
		RegistrationAccessToken: fmt.Sprintf("rat-%d", a.next), RegistrationPath: "/reg/" + id, ClientSecret: a.clients[id].ClientSecret,
	})
	a.scopes[id] = c.Metadata.Scope
	delete(a.gone, id)
	a.statements = append(a.statements, string(c.SoftwareStatement))
	a.names = append(a.names, c.Metadata.TLSClientAuthSubjectDN)
	if during := a.during; during != nil {
		a.during = nil
		during()
	}
	if err != nil {
		return nil, err
	}
	if a.madeWrong != "" {
		return &registry.Provisioned{ClientID: id, Credentials: a.clients[id]}, registry.ErrLost
	}
	p := &registry.Provisioned{ClientID: id, Metadata: c.Metadata, Credentials: a.clients[id], Keys: a.keys}
	if a.odd != nil {
		return a.odd(p)
	}
	return p, nil
}

func (a *as) Update(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	if a.inUpdate != nil {
		a.inUpdate()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.called(ctx, "update")
	if err != nil && !a.carriedOut {
		return nil, err
	}
	if a.clients[c.ClientID] != c.Credentials {
		return nil, registry.ErrDetached
	}
	a.scopes[c.ClientID] = c.Metadata.Scope
	a.statements = append(a.statements, string(c.SoftwareStatement))
	a.names = append(a.names, c.Metadata.TLSClientAuthSubjectDN)
	if a.crash {
		a.crash = false
		runtime.Goexit()
	}
	a.next++
	if err != nil && !a.chooses {
		return nil, err // and the credentials stay
	}
	rotated := a.withSecret("update", registry.Credentials{
		RegistrationAccessToken: fmt.Sprintf("rat-%d", a.next), RegistrationPath: c.Credentials.RegistrationPath, ClientSecret: c.Credentials.ClientSecret,
	})
	a.clients[c.ClientID] = rotated
	if errors.Is(err, registry.ErrLost) {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, registry.ErrLost
	case <-time.After(a.slow):
	}
	return &registry.Provisioned{ClientID: c.ClientID, Metadata: c.Metadata, Credentials: rotated, Keys: a.keys}, err
}

func (a *as) IsOwn(clientID string) bool { return clientID == "gateway" }

func (a *as) Read(ctx context.Context, c *registry.Client) (*registry.Comparison, error) {
	if a.inRead != nil {
		a.inRead(c.ClientID)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.called(ctx, "read"); err != nil {
		return nil, err
	}
	switch {
	case a.gone[c.ClientID]:
		return nil, registry.ErrMissing
	case a.clients[c.ClientID] != c.Credentials:
		return nil, registry.ErrDetached
	}
	if a.rotates {
		a.next++
		c.Credentials.RegistrationAccessToken = fmt.Sprintf("rat-%d", a.next)
		a.clients[c.ClientID] = c.Credentials
	}
	list := slices.Clone(a.unlike[c.ClientID])
	if there := a.scopes[c.ClientID]; there != c.Metadata.Scope {
		list = append(list, registry.Difference{Member: "scope", Here: c.Metadata.Scope, There: there})
	}
	return &registry.Comparison{Differences: list, Credentials: c.Credentials}, nil
}

func (a *as) Delete(ctx context.Context, c *registry.Client) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.called(ctx, "delete"); err != nil {
		return err
	}
	if a.clients[c.ClientID] != c.Credentials {
		return registry.ErrDetached
	}
	delete(a.clients, c.ClientID)
	return nil
}

func (a *as) Revoke(ctx context.Context, v registry.Revocation) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.called(ctx, "revoke"); err != nil {
		return err
	}
	a.revoked = append(a.revoked, v.Token)
	a.revocations = append(a.revocations, v)
	return nil
}

func (a *as) answersAfter(d time.Duration) { a.mu.Lock(); defer a.mu.Unlock(); a.slow = d }
func (a *as) scope(id string) string       { a.mu.Lock(); defer a.mu.Unlock(); return a.scopes[id] }

// set changes something of the AS while it may be asked.
func (a *as) set(change func()) { a.mu.Lock(); defer a.mu.Unlock(); change() }

func (a *as) hang(all bool)   { a.mu.Lock(); defer a.mu.Unlock(); a.hangs = all }
func (a *as) isHanging() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.hangs }
func (a *as) count() int      { a.mu.Lock(); defer a.mu.Unlock(); return len(a.clients) }
func (a *as) ended() int      { a.mu.Lock(); defer a.mu.Unlock(); return len(a.revoked) }

// times is how often it was called so.
func (a *as) times(call string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		if c == call {
			n++
		}
	}
	return n
}

// plain seals by doing nothing but telling contexts apart.
type plain struct{}

func (plain) Seal(secret []byte, context string) ([]byte, error) {
	return append([]byte(context+"|"), secret...), nil
}

func (plain) Open(sealed []byte, context string) ([]byte, error) {
	secret, ok := strings.CutPrefix(string(sealed), context+"|")
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	return []byte(secret), nil
}

// fixture is a registry over a memory store in a bubble of fake time.
type fixture struct {
	*registry.Registry
	t     *testing.T
	store registry.Store
	as    *as
	ws    registry.Workspace
	// made is how many clients population has registered.
	made int
}

func run(t *testing.T, chooses bool, f func(*fixture)) {
	t.Helper()
	runSealed(t, chooses, plain{}, f)
}

// runSealed is run with another sealer.
func runSealed(t *testing.T, chooses bool, sealer registry.Sealer, f func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{Rerun: true})
		r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: sealer})
		if err != nil {
			t.Fatal(err)
		}
		x := &fixture{Registry: r, t: t, store: store, as: newAS(chooses)}
		x.ws = registry.Workspace{Name: "default/obuk", Provisioner: x.as}
		takeBack := r.Attach(x.ws)
		defer func() { // also of a test that fails: in fake time the outbox would go on for ever
			takeBack()
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(x)
	})
}

// keys are the keys of the store under a prefix.
func (x *fixture) keys(prefix string) (keys []string) {
	x.t.Helper()
	err := x.store.View(x.t.Context(), func(v registry.Reader) error {
		entries, err := v.Scan(prefix, "", 1000)
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return keys
}

func (x *fixture) get(key string) (value string) {
	x.t.Helper()
	err := x.store.View(x.t.Context(), func(v registry.Reader) error {
		data, err := v.Get(key)
		value = string(data)
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return value
}

func (x *fixture) nothingLeft() {
	x.t.Helper()
	for _, prefix := range []string{"client/", "document/", "certificate/", "id/", "index/", "token/", "jti/", "outbox/", "later/"} {
		if keys := x.keys(prefix); len(keys) > 0 {
			x.t.Errorf("left behind: %q", keys)
		}
	}
}

func (x *fixture) register(in registry.Registration) *registry.Client {
	x.t.Helper()
	c, err := x.Register(x.t.Context(), x.ws, in)
	if err != nil {
		x.t.Fatal(err)
	}
	x.settle()
	return c
}

// settle waits until the outbox has done what is due.
func (x *fixture) settle() {
	time.Sleep(time.Second) // fake
	synctest.Wait()
}

// request is an accepted request with its own jti and token.
func request(jti, token string) registry.Registration {
	ssa := &verify.SoftwareStatement{SoftwareID: "software1", OrgID: "org1", ClientName: "A TPP", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}
	in := registry.Registration{
		Request: &verify.Request{Raw: []byte("the request " + jti), Statement: ssa, Issuer: "software1", JTI: jti, Expires: time.Now().Add(time.Hour)},
		Checked: &verify.Checked{Metadata: verify.Metadata{
			RedirectURIs: []string{"https://tpp.example/cb"}, TokenEndpointAuthMethod: "tls_client_auth", GrantTypes: []string{"client_credentials"},
			Scope: "openid accounts", TLSClientAuthSubjectDN: "CN=tpp,O=Acme,C=GB",
		}},
		Certificate: &verify.Certificate{Thumbprint: "thumb"},
	}
	if token != "" {
		in.Token = &verify.AccessToken{Raw: token, Expires: time.Now().Add(time.Hour)}
	}
	return in
}

func refused(t *testing.T, err error, kind refusal.Kind, rule string) {
	t.Helper()
	var e *refusal.Error
	if !errors.As(err, &e) || e.Kind != kind || e.RuleName() != rule {
		t.Fatalf("got %v, want kind %d of rule %s", err, kind, rule)
	}
}

func jwtWithSignature(sig string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PS256"}`)) + ".e30." + sig
}

// presented is a management token without a certificate.
func presented(token string) registry.Presented {
	return registry.Presented{Token: &verify.AccessToken{Raw: token, Expires: time.Now().Add(time.Hour)}}
}
