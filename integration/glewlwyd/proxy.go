package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// proxy passes the prefix on to the plugin's endpoints and stands in for what
// glewlwyd has not: an initial access token that is configured, and a user who
// approves.
type proxy struct {
	prefix, initial string
	plugin          *url.URL
	edgeSecret      string
	admin           *admin
	user            string // the session of the payment service user
	backend         *httputil.ReverseProxy

	mu      sync.Mutex
	token   string
	expires time.Time
}

func newProxy(a *admin, config authserverprocess.Config, plugin, edgeSecret, user string) (*proxy, error) {
	target, err := url.Parse(plugin)
	if err != nil {
		return nil, err
	}
	return &proxy{
		prefix: config.Prefix, initial: config.InitialAccessToken, plugin: target, edgeSecret: edgeSecret, admin: a, user: user,
		backend: &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport: backend,
		},
	}, nil
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, p.prefix)
	if path == r.URL.Path && p.prefix != "" || !strings.HasPrefix(path, "/") {
		http.NotFound(w, r)
		return
	}
	switch strings.TrimSuffix(path, "/") {
	case "/register":
		if r.Method == http.MethodPost && !p.mayRegister(w, r) {
			return
		}
	case "/auth":
		p.approve(r)
	}
	http.StripPrefix(p.prefix, p.backend).ServeHTTP(w, r)
}

// mayRegister puts a token of glewlwyd's in the place of the configured initial
// access token. glewlwyd would take any token of the scope; here only the
// configured one goes, as with the other servers.
func (p *proxy) mayRegister(w http.ResponseWriter, r *http.Request) bool {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+p.initial)) != 1 {
		w.WriteHeader(http.StatusUnauthorized) // glewlwyd says no more either
		return false
	}
	token, err := p.registrationToken(r.Context())
	if err != nil {
		slog.Error("no token for the registration endpoint", "error", err)
		w.WriteHeader(http.StatusBadGateway)
		return false
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return true
}

// registrationToken returns a token that is good for some minutes more.
func (p *proxy) registrationToken(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Until(p.expires) > 5*time.Minute {
		return p.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {registrationScope}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.plugin.String()+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(edgeID, p.edgeSecret)
	answer, err := backend.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		return "", fmt.Errorf("%s: %w", answer.Status, err) // refusals have no body
	}
	p.token, p.expires = token.AccessToken, time.Now().Add(time.Duration(token.ExpiresIn)*time.Second)
	return p.token, nil
}

// approve logs the payment service user in and has the user consent, so that
// glewlwyd shows no page, which would be outside of the prefix.
func (p *proxy) approve(r *http.Request) {
	client := url.PathEscape(r.URL.Query().Get("client_id"))
	consent := map[string]any{"scope": strings.Join(clientScopes, " ")}
	if err := p.admin.call(r.Context(), p.user, http.MethodPut, "/auth/grant/"+client, consent); err != nil {
		slog.Info("no consent", "error", err) // an unknown client: glewlwyd says so itself
	}
	r.Header.Set("Cookie", p.user)
	r.URL.RawQuery += "&g_continue" // what its login page adds when it is done
}
