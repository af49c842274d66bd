package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// workspace is that of the example.
const workspace = "default/obuk"

// makeStore makes the store of a gateway that will run in dir, as that will open it.
func makeStore(ctx context.Context, dir string) (*registry.Registry, error) {
	keyset, text, err := registry.NewKeyset()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data", "caddy", "openbanking_dcr") // where Caddy keeps what nobody configured
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(data, "keyset.json"), text, 0o600); err != nil {
		return nil, err
	}
	store, err := badger.Open(badger.Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		return nil, err
	}
	r, err := registry.Open(ctx, registry.Options{Store: store, Sealer: keyset})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return r, nil
}

// registerers are so many that what they commit, they commit in large groups.
const registerers = 256

// fillRegistry makes the store of a gateway in dir with n clients, all of the one
// transport certificate, each of a software of its own, and returns their client_ids.
func (b *bench) fillRegistry(ctx context.Context, dir string, n int) (ids []string, err error) {
	model, err := b.modelRegistration(ctx)
	if err != nil {
		return nil, err
	}
	r, err := makeStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	ws := registry.Workspace{Name: workspace, FairShareOff: true, Provisioner: agreeable{}}
	ids = make([]string, n)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range registerers {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				c, err := r.Register(ctx, ws, another(model))
				if err != nil {
					return err
				}
				ids[i] = c.ClientID
			}
		})
	}
	return ids, group.Wait()
}

// modelRegistration is a request for tls_client_auth that went through every check.
func (b *bench) modelRegistration(ctx context.Context) (in registry.Registration, err error) {
	d, err := openFrontDoor(b.software, b.directory.JWKS(), b.directory.Signing.Private)
	if err != nil {
		return in, err
	}
	raw, err := b.software.Request(map[string]any{"redirect_uris": b.software.RedirectURIs[:2]})
	if err != nil {
		return in, err
	}
	in.Certificate = d.cert
	if in.Request, err = verify.VerifyRequest(ctx, []byte(raw), &d.rules, d.now); err != nil {
		return in, err
	}
	in.Checked, err = verify.CheckMetadata(ctx, verify.MetadataInput{Request: in.Request, Certificate: in.Certificate, Supported: verify.DefaultSupportedMetadata()})
	return in, err
}

// another is that registration for another software. Its request is not kept: no
// guard reads it, and a hundred thousand are a gigabyte.
func another(in registry.Registration) registry.Registration {
	statement, request := *in.Request.Statement, *in.Request
	statement.SoftwareID, statement.OrgID = rand.Text()[:22], rand.Text()[:18]
	request.Statement, request.Raw, request.JTI, request.Expires = &statement, []byte("-"), uuid.NewString(), time.Now().Add(time.Hour)
	in.Request = &request
	return in
}

// agreeable is an AS that makes every client as it is asked to.
type agreeable struct{ registry.Provisioner }

func (agreeable) ChoosesClientID() bool            { return true }
func (agreeable) Revokes(registry.Revocation) bool { return false }

func (agreeable) Create(_ context.Context, c *registry.Client) (*registry.Provisioned, error) {
	return &registry.Provisioned{ClientID: c.ClientID, Metadata: c.Metadata, Credentials: registry.Credentials{
		RegistrationAccessToken: rand.Text() + rand.Text(), RegistrationPath: "/reg/" + c.ClientID,
	}}, nil
}
