package registry_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// certificate is one with a common name, valid from a time.
func certificate(t *testing.T, cn string, from time.Time) *verify.Certificate {
	t.Helper()
	der, err := asn1.Marshal(pkix.Name{CommonName: cn}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	subject, err := dn.ParseSubject(der)
	if err != nil {
		t.Fatal(err)
	}
	return &verify.Certificate{Leaf: &x509.Certificate{RawSubject: der, NotBefore: from}, Subject: subject, Thumbprint: "of " + cn}
}

// registered is a client of the certificate.
func (x *fixture) registered(jti string, cert *verify.Certificate) *registry.Client {
	in := request(jti, "")
	in.Certificate = cert
	in.Checked.RawSubject, in.Checked.Subject, in.Checked.SubjectFrom = cert.Leaf.RawSubject, cert.Subject, cert.Leaf.NotBefore
	in.Checked.Metadata.TLSClientAuthSubjectDN = cert.Subject.String()
	return x.register(in)
}

// TestRenew: the AS knows the new DN before anything else does, and everything
// but the DN stays.
func TestRenew(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		from := time.Now()
		old, renewed := certificate(t, "old", from), certificate(t, "new", from.Add(time.Hour))
		c := x.registered("jti1", old)
		got, err := x.Renew(x.t.Context(), x.ws, c.ClientID, renewed)
		if err != nil || got.Metadata.TLSClientAuthSubjectDN != "CN=new" || got.Document != c.Document || got.IssuedAt != c.IssuedAt || got.Metadata.Scope != c.Metadata.Scope {
			t.Fatalf("%+v, %v; want CN=new and the rest of %+v", got, err, c)
		}
		x.together(c.ClientID, "openid accounts")
		if want := []string{"CN=old", "CN=new"}; !slices.Equal(x.as.names, want) {
			t.Errorf("the AS was told %q, want %q", x.as.names, want)
		}
		if _, document, err := x.Document(x.t.Context(), got); err != nil || string(document) != "the request jti1" || len(x.keys("document/")) != 1 {
			t.Errorf("document %q, %v", document, err)
		}
		for subjectDN, n := range map[*verify.Certificate]int{old: 0, renewed: 1} {
			if list, _, err := x.List(x.t.Context(), x.ws.Name, registry.BySubject, subjectDN.Subject.Canonical(), "", 10); err != nil || len(list) != n {
				t.Errorf("%s finds %d, %v", subjectDN.Subject, len(list), err)
			}
		}
		// Again it does nothing, and the older certificate does not turn it back.
		if _, err := x.Renew(x.t.Context(), x.ws, c.ClientID, renewed); err != nil {
			t.Error(err)
		}
		_, err = x.Renew(x.t.Context(), x.ws, c.ClientID, old)
		refused(t, err, refusal.InvalidClient, "client_authentication")
		if left := x.keys("later/"); len(left) > 0 {
			t.Errorf("an older certificate leaves %q", left)
		}
		_, err = x.Renew(x.t.Context(), x.ws, c.ClientID, certificate(t, "twin", from.Add(time.Hour)))
		refused(t, err, refusal.InvalidClient, "client_authentication")
		x.together(c.ClientID, "openid accounts")
		if len(x.as.names) != 2 {
			t.Errorf("the AS was told %q", x.as.names)
		}
		_, err = x.Renew(x.t.Context(), x.ws, "nobody", renewed)
		refused(t, err, refusal.InvalidToken, "access_token")
	})
}

// TestRenewFails: what the AS does not take leaves both as they were.
func TestRenewFails(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		from := time.Now()
		c := x.registered("jti1", certificate(t, "old", from))
		down := refusal.New(refusal.Unavailable, "authorization_server", "down; try again")
		for _, cause := range []error{down, registry.ErrLost} {
			x.as.fail["update"], x.as.carriedOut = []error{cause}, errors.Is(cause, registry.ErrLost)
			if _, err := x.Renew(x.t.Context(), x.ws, c.ClientID, certificate(t, "new", from.Add(time.Hour))); !errors.Is(err, cause) {
				t.Fatalf("%v, want %v", err, cause)
			}
			time.Sleep(time.Minute) // fake: the lease ends, and the outbox restores
			x.settle()
			x.together(c.ClientID, "openid accounts")
			got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
			if err != nil || got.Metadata.TLSClientAuthSubjectDN != "CN=old" || x.as.names[len(x.as.names)-1] != "CN=old" {
				t.Errorf("%+v, AS %q, %v", got, x.as.names, err)
			}
		}
		if _, err := x.Renew(x.t.Context(), x.ws, c.ClientID, certificate(t, "new", from.Add(time.Hour))); err != nil {
			t.Errorf("%v: later", err)
		}
		x.together(c.ClientID, "openid accounts")
	})
}

// preceded is a store that something else happens to before its next update.
type preceded struct {
	*memory.Store
	first func()
}

func (p *preceded) Update(ctx context.Context, f func(registry.Writer) error) error {
	if first := p.first; first != nil {
		p.first = nil
		first()
	}
	return p.Store.Update(ctx, f)
}

// TestRenewOvertaken: a renewal that another one has overtaken leaves nothing behind. With
// the same certificate it gives the client as it is; an older one is refused.
func TestRenewOvertaken(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		store := &preceded{Store: memory.Open(memory.Options{})}
		r, err := registry.Open(x.t.Context(), registry.Options{Store: store, Sealer: plain{}})
		if err != nil {
			x.t.Fatal(err)
		}
		defer r.Close()
		y := &fixture{Registry: r, t: x.t, store: store, as: x.as, ws: x.ws}
		from := time.Now()
		renewed, older := certificate(x.t, "new", from.Add(2*time.Hour)), certificate(x.t, "older", from.Add(time.Hour))
		for jti, late := range map[string]*verify.Certificate{"jti1": renewed, "jti2": older} {
			c := y.registered(jti, certificate(x.t, "old", from))
			store.first = func() {
				if _, err := y.Renew(x.t.Context(), y.ws, c.ClientID, renewed); err != nil {
					x.t.Errorf("the first renewal: %v", err)
				}
			}
			calls := len(y.as.names)
			got, err := y.Renew(x.t.Context(), y.ws, c.ClientID, late)
			if late == older {
				refused(x.t, err, refusal.InvalidClient, "client_authentication")
			} else if err != nil || got.Metadata.TLSClientAuthSubjectDN != "CN=new" || got.Change != "" {
				x.t.Errorf("got %+v, %v, want the client with CN=new", got, err)
			}
			if names := y.as.names[calls:]; !slices.Equal(names, []string{"CN=new"}) {
				x.t.Errorf("the AS was told %q, want CN=new once", names)
			}
			if left := y.keys("later/"); len(left) > 0 {
				x.t.Errorf("left for the outbox %q, want nothing", left)
			}
		}
	})
}
