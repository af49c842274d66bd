package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestIntrospectionEndpointThatIsNotPublished: where it is written that the AS decides on
// access tokens, nothing else does; an endpoint that the operator names is asked, and
// guarded as one that the AS publishes.
func TestIntrospectionEndpointThatIsNotPublished(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.OIDCProvider}))
	id, own := registered(t, p)
	endpoint := strings.TrimPrefix(p.Endpoint("introspection_endpoint"), strings.TrimSuffix(p.Issuer, story.Prefix))
	pretend(t, p, -1, map[string]any{"introspection_endpoint": nil})

	reload(t, p, gateway.At("authorization_server").Add("validate introspection"))
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	call := story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: token, Body: body}
	for range 2 {
		r, err := p.Make(t.Context(), call)
		if err := notAvailable.isIn(p, r, err); err != nil {
			t.Error(err)
		}
	}
	r, err := p.Make(t.Context(), story.Call{Method: http.MethodGet, URL: p.Register + "/" + id, As: p.Acme, Token: own})
	if err := notAvailable.isIn(p, r, err); err != nil {
		t.Error(err)
	}
	err = story.Eventually(t.Context(), 20*time.Second, func() error {
		lines := 0
		for line := range strings.Lines(p.Gateway.Log()) {
			if strings.Contains(line, `"level":"error"`) && strings.Contains(line, "write introspection_endpoint <path> in authorization_server") {
				lines++
			}
		}
		if lines != 1 {
			return fmt.Errorf("%d error lines with the cure, want one", lines)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}

	reload(t, p, gateway.At("authorization_server").Add("validate introspection", "introspection_endpoint "+endpoint))
	r, err = p.Make(t.Context(), call) // nothing was burnt
	answered(t, r, err, 201, "")
	discovered, err := p.Client(p.Acme).Discover(t.Context(), p.Issuer)
	if err != nil || discovered.JSON["introspection_endpoint"] != nil {
		t.Errorf("got %v, %v, want no introspection_endpoint published", discovered, err)
	}
	if !introspects(t, p, own) {
		t.Error("the token of a client that is active is not")
	}
	resume := suspend(t, p, id)
	defer resume()
	if introspects(t, p, own) {
		t.Error("the endpoint is not guarded: the token of a suspended client is active")
	}
}
