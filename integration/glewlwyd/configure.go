package main

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// configure makes of an empty glewlwyd the server that the configuration describes.
func configure(ctx context.Context, a *admin, config authserverprocess.Config, m mount, url string) (*proxy, error) {
	session, err := a.loginAdministrator(ctx)
	if err != nil {
		return nil, err
	}
	instance, err := plugin(config.Issuer, m.instance)
	if err != nil {
		return nil, err
	}
	type step struct {
		path string
		body map[string]any
	}
	var steps []step
	for _, scope := range append([]string{registrationScope, introspectionScope}, clientScopes[1:]...) { // openid is there
		steps = append(steps, step{"/scope/", map[string]any{"name": scope, "display_name": scope, "password_required": false, "scheme": map[string]any{}}})
	}
	edgeSecret := rand.Text()
	steps = append(steps,
		step{"/client/?source=database", staticClient(edgeID, edgeSecret, registrationScope)},
		step{"/client/?source=database", staticClient(config.GatewayID, config.GatewaySecret, introspectionScope)},
		step{"/client/?source=database", staticClient(config.RegistrarID, config.RegistrarSecret, registrationScope)},
		step{"/user/?source=database", map[string]any{"username": psu, "password": psuPassword, "enabled": true, "scope": clientScopes}},
		step{"/mod/plugin/", instance},
	)
	for _, s := range steps {
		if err := a.call(ctx, session, http.MethodPost, s.path, s.body); err != nil {
			return nil, err
		}
	}
	user, err := a.login(ctx, psu, psuPassword)
	if err != nil {
		return nil, err
	}
	return newProxy(a, config, url+m.path(), edgeSecret, user)
}
