package registry_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// forgetRequest makes a client one that was imported without its request.
func (x *fixture) forgetRequest(c *registry.Client) *registry.Client {
	x.t.Helper()
	key := "client/default%2Fobuk/" + c.ID
	var record map[string]any
	if err := json.Unmarshal([]byte(x.get(key)), &record); err != nil {
		x.t.Fatal(err)
	}
	document := record["document"].(string)
	record["document"] = ""
	value, err := json.Marshal(record)
	if err == nil {
		err = x.store.Update(x.t.Context(), func(w registry.Writer) error {
			if err := w.Delete("document/" + document); err != nil {
				return err
			}
			if err := w.Delete("certificate/" + document); err != nil {
				return err
			}
			return w.Put(key, value)
		})
	}
	if err != nil {
		x.t.Fatal(err)
	}
	now, err := x.Client(x.t.Context(), c.Workspace, c.ClientID)
	if err != nil {
		x.t.Fatal(err)
	}
	return now
}

// TestClientWithoutRequest: a client of which there is no request can be read, listed, changed
// and deleted, and its next update brings the request.
func TestClientWithoutRequest(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ctx := x.t.Context()
		c := x.forgetRequest(x.register(unauthorized(t, 1)))
		now, request, err := x.Document(ctx, c)
		if err != nil || request != nil || now.ClientID != c.ClientID {
			t.Fatalf("%+v with %q, %v; want the client without a request", now, request, err)
		}
		if raw, claims, err := now.Statement(request); err != nil || raw != nil || len(claims.Members()) > 0 {
			t.Errorf("%s, %v, %v; want no statement", raw, claims, err)
		}
		if d := x.details(c); d.Unreadable != nil || len(d.Claims.Members()) > 0 {
			t.Errorf("%v, %v; want a client that is readable, without claims", d.Unreadable, d.Claims)
		}
		if list, _, err := x.Registrations(ctx, x.ws.Name, "", 10); err != nil || len(list) != 1 {
			t.Errorf("%v, %v; want one registration", list, err)
		}
		if err := x.RefreshKeys(ctx, x.ws, c.ClientID); err != nil { // a change without a request
			t.Error(err)
		}
		x.as.set(func() { x.as.fail["update"], x.as.carriedOut = []error{registry.ErrLost}, false })
		if err := x.RefreshKeys(ctx, x.ws, c.ClientID); err == nil {
			t.Error("got no error, want that the answer was lost")
		}
		time.Sleep(5 * time.Minute) // fake; the lease ends
		synctest.Wait()
		if d := x.details(c); !slices.Contains(history(d), registry.AuditRestored) {
			t.Errorf("%v: want that the AS was told again", history(d))
		}
		if c, err = x.Update(ctx, x.ws, c.ClientID, unauthorized(t, 2)); err != nil {
			t.Fatal(err)
		}
		if d := x.details(c); c.Document == "" || !d.Claims.Has("n") || !d.Statement.Has("org_id") || d.Certificate == nil {
			t.Errorf("%+v: want request, statement and certificate of the update", d)
		}
		c = x.forgetRequest(c)
		if err := x.Delete(ctx, x.ws, c.ClientID, registry.Presented{}); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if keys := append(x.keys("client/"), x.keys("document/")...); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}
