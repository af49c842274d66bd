package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/caddy-dcr/caddy-dcr/integration/edge"
)

// backend is the way to glewlwyd. It keeps no connections, so none is closed
// under a POST.
var backend = &oneAtATime{next: &http.Transport{DisableKeepAlives: true}}

// oneAtATime keeps requests apart. With sqlite, glewlwyd takes the row that another
// request has just inserted for its own: of 40 registrations at once ten were
// answered with 500, and who knows what the others got.
type oneAtATime struct {
	mu   sync.Mutex
	next http.RoundTripper
}

// RoundTrip returns with the answer's header, which glewlwyd sends when its work is done.
func (o *oneAtATime) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.next.RoundTrip(r)
}

// admin is glewlwyd's own API, which the edge lets nobody else reach.
type admin struct {
	url string
}

// login returns the Cookie header of a new session. An administrator's is good
// for ten minutes.
func (a *admin) login(ctx context.Context, user, password string) (string, error) {
	answer, err := a.send(ctx, "", http.MethodPost, "/auth/", map[string]any{"username": user, "password": password})
	if err != nil {
		return "", err
	}
	answer.Body.Close()
	for _, cookie := range answer.Cookies() { // it names a domain that is not this address
		return cookie.Name + "=" + cookie.Value, nil
	}
	return "", fmt.Errorf("no session for %s", user)
}

// loginAdministrator logs in the user who is in every new database.
func (a *admin) loginAdministrator(ctx context.Context) (string, error) {
	return a.login(ctx, "admin", "password")
}

// send sends JSON; every status but 2xx is an error.
func (a *admin) send(ctx context.Context, session, method, path string, body any) (*http.Response, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cookie", session)
	answer, err := backend.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	return answer, nil
}

// call is send for answers without interest.
func (a *admin) call(ctx context.Context, session, method, path string, body any) error {
	answer, err := a.send(ctx, session, method, path, body)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// registered lists the clients that registered themselves, in glewlwyd's own
// names, and redirect_uris as RFC 7591 calls them. One that was deleted is only
// disabled, and is left out.
func (a *admin) registered(static []string) edge.Clients {
	return func(ctx context.Context) ([]map[string]any, error) {
		session, err := a.loginAdministrator(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := a.send(ctx, session, http.MethodGet, "/client/?limit=1000000", nil)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		var all []map[string]any
		if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
			return nil, err
		}
		for _, client := range all {
			client["redirect_uris"] = client["redirect_uri"]
		}
		return slices.DeleteFunc(all, func(client map[string]any) bool {
			id, _ := client["client_id"].(string)
			return slices.Contains(static, id) || client["enabled"] != true
		}), nil
	}
}
