package registry_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", "token1"))
		in := request("jti2", "")
		in.Checked.Metadata.RedirectURIs = []string{"https://tpp.example/other"}
		in.Certificate.Thumbprint = "renewed"
		time.Sleep(time.Second)
		updated, err := x.Update(x.t.Context(), x.ws, c.ClientID, in)
		if err != nil || updated.ClientID != c.ClientID || updated.IssuedAt != c.IssuedAt || updated.Metadata.RedirectURIs[0] != "https://tpp.example/other" {
			t.Fatalf("%+v, %v; want client %s with the other redirect URI", updated, err, c.ClientID)
		}
		if _, doc, err := x.Document(x.t.Context(), updated); err != nil || string(doc) != "the request jti2" || len(x.keys("document/")) != 1 {
			t.Errorf("%q, %v; want the request jti2, alone", doc, err)
		}
		if list, _, err := x.List(x.t.Context(), x.ws.Name, registry.ByCertificate, "thumb", "", 10); err != nil || len(list) != 0 {
			t.Errorf("still found by its old certificate: %v, %v", list, err)
		}
		if list, _, err := x.List(x.t.Context(), x.ws.Name, registry.ByTime, "", "", 10); err != nil || len(list) != 1 {
			t.Errorf("%v, %v; want one client", list, err)
		}
		_, err = x.Update(x.t.Context(), x.ws, c.ClientID, in)
		refused(t, err, refusal.InvalidClientMetadata, "jti")
		// The rotated token was kept: the next change needs it.
		if _, err = x.Update(x.t.Context(), x.ws, c.ClientID, request("jti3", "")); err != nil {
			t.Error(err)
		}
	})
}

// What was decided by a client is not done to what another request has made of it.
func TestUpdateOfWhatWasDecided(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		seen := x.register(request("jti1", ""))
		time.Sleep(time.Second)
		if _, err := x.Update(x.t.Context(), x.ws, seen.ClientID, request("jti2", "")); err != nil {
			t.Fatal(err)
		}
		in := request("jti3", "")
		in.Client = seen
		in.Checked.Metadata.Scope = "openid"
		_, err := x.Update(x.t.Context(), x.ws, seen.ClientID, in)
		refused(t, err, refusal.Unavailable, "change")
		now, err := x.Client(x.t.Context(), x.ws.Name, seen.ClientID)
		if err != nil || now.Metadata.Scope != "openid accounts" || now.Change != "" {
			t.Fatalf("%+v, %v; want openid accounts and no change under way", now, err)
		}
		in.Client = now
		if c, err := x.Update(x.t.Context(), x.ws, seen.ClientID, in); err != nil || c.Metadata.Scope != "openid" {
			t.Errorf("%+v, %v; want openid", c, err)
		}
	})
}

func TestRefusedUpdateChangesNothing(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		no := refusal.New(refusal.InvalidClientMetadata, "", "no")
		x.as.fail["update"] = []error{no}
		in := request("jti2", "")
		in.Checked.Metadata.Scope = "openid"
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); !errors.Is(err, no) {
			t.Fatalf("%v, want %v", err, no)
		}
		got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
		if err != nil || got.Metadata.Scope != "openid accounts" || got.Change != "" {
			t.Errorf("%+v, %v; want openid accounts and no change under way", got, err)
		}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); err != nil {
			t.Errorf("%v: the refusal burnt the jti", err)
		}
	})
}

func TestUpdateWithALostToken(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.clients[c.ClientID] = registry.Credentials{RegistrationAccessToken: "rotated in an answer that was lost"}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, request("jti2", "")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRefusedUpdateKeepsRotatedCredentials(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		no := refusal.New(refusal.InvalidClientMetadata, "", "no")
		x.as.fail["update"] = []error{registry.ErrDetached, no} // between the two, the registration is repeated
		in := request("jti2", "")
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); !errors.Is(err, no) {
			t.Fatalf("%v, want %v", err, no)
		}
		x.settle() // the AS took the repeated registration, and is told the old metadata again
		x.as.mu.Lock()
		x.as.calls = nil
		x.as.mu.Unlock()
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); err != nil || len(x.as.calls) != 1 {
			t.Errorf("%v after %v: the new credentials were lost", err, x.as.calls)
		}
	})
}

func TestSubjectOfAClientWithAssertions(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		in := request("jti1", "")
		in.Checked.Metadata.TokenEndpointAuthMethod, in.Checked.Metadata.TLSClientAuthSubjectDN = "private_key_jwt", ""
		name := pkix.Name{CommonName: "tpp"}.ToRDNSequence()
		der, err := asn1.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		in.Certificate.Leaf = &x509.Certificate{RawSubject: der}
		dn, err := x.register(in).DN()
		if err != nil || dn.String() != "CN=tpp" {
			t.Errorf("%s, %v; want CN=tpp", dn, err)
		}
	})
}

func TestUnknownClients(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		_, unknown := x.Update(x.t.Context(), x.ws, "nobody", request("jti1", ""))
		refused(t, unknown, refusal.InvalidToken, "access_token")
		refused(t, x.Delete(x.t.Context(), x.ws, "nobody", presented("t")), refusal.InvalidToken, "access_token")
		if _, err := x.Client(x.t.Context(), x.ws.Name, "nobody"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want %v", err, registry.ErrNotFound)
		}
		c := x.register(request("jti2", ""))
		if _, err := x.Client(x.t.Context(), "default", c.ClientID); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v: another workspace's client", err)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("presented")); err != nil {
			t.Fatal(err)
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted {
			t.Errorf("%+v, %v; want a deleted client", got, err)
		}
		if x.as.count() != 0 || x.as.ended() != 1 {
			t.Errorf("%d clients, %d tokens revoked", x.as.count(), x.as.ended())
		}
		for _, prefix := range []string{"client/", "document/", "index/", "outbox/", "later/"} {
			if keys := x.keys(prefix); len(keys) != 0 {
				t.Errorf("left behind: %q", keys)
			}
		}
	})
}

func TestDeleteWhileTheASIsDown(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		down := refusal.New(refusal.Unavailable, "", "down")
		x.as.fail["delete"] = []error{down, down}
		x.as.fail["revoke"] = []error{down}
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("presented")); err != nil {
			t.Fatal(err)
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleting {
			t.Errorf("%+v, %v: it must be dead here at once", got, err)
		}
		time.Sleep(10 * time.Minute)
		x.settle()
		if x.as.count() != 0 || len(x.keys("outbox/"))+len(x.keys("later/")) != 0 || len(x.keys("client/")) != 0 {
			t.Errorf("%d clients at the AS, outbox %q", x.as.count(), x.keys("outbox/"))
		}
	})
}

func TestRevocationIsRetriedUntilFinal(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		down := refusal.New(refusal.Unavailable, "", "down")
		x.as.fail["revoke"] = []error{down, down, down}
		x.register(request("jti1", "token1"))
		time.Sleep(5 * time.Minute)
		x.settle()
		if x.as.ended() != 1 || len(x.keys("outbox/")) != 0 {
			t.Errorf("%d revoked, outbox %q", x.as.ended(), x.keys("outbox/"))
		}
		x.as.fail["revoke"] = []error{refusal.New(refusal.AccessDenied, "", "a foreign token")}
		x.register(request("jti2", "token2"))
		x.settle()
		if x.as.ended() != 1 || len(x.keys("outbox/")) != 0 {
			t.Errorf("a final refusal was retried: %d revoked, outbox %q", x.as.ended(), x.keys("outbox/"))
		}
	})
}

// Work of a workspace that no configuration has waits for one that has it.
func TestOutboxWaitsForTheWorkspace(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		other := registry.Workspace{Name: "default/other", Provisioner: newAS(true)}
		if _, err := x.Register(x.t.Context(), other, request("jti1", "token1")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if len(x.keys("outbox/")) != 1 {
			t.Fatalf("outbox %q", x.keys("outbox/"))
		}
		takeBack := x.Attach(other)
		x.settle()
		if len(x.keys("outbox/")) != 0 || other.Provisioner.(*as).ended() != 1 {
			t.Errorf("outbox %q", x.keys("outbox/"))
		}
		takeBack()
	})
}

// Between the check of a request and its answer the client may be changed or deleted.
func TestDocumentOfAClientThatChanged(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		seen := x.register(request("jti1", ""))
		if _, err := x.Update(x.t.Context(), x.ws, seen.ClientID, narrower("jti2")); err != nil {
			t.Fatal(err)
		}
		now, doc, err := x.Document(x.t.Context(), seen)
		if err != nil || now.Metadata.Scope != "openid" || string(doc) != "the request jti2" {
			t.Errorf("%+v, %q, %v; want openid by the request jti2", now, doc, err)
		}
		if err := x.Delete(x.t.Context(), x.ws, seen.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		_, _, err = x.Document(x.t.Context(), seen)
		refused(t, err, refusal.InvalidToken, "access_token")
	})
}
