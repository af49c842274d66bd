// Package caddydcr is the plugin that xcaddy builds into Caddy: Open Banking
// dynamic client registration in front of an authorization server that has
// never heard of it. The modules are in caddymodule.
package caddydcr

// They register themselves.
import (
	_ "github.com/caddy-dcr/caddy-dcr/caddymodule"
	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/cel"
	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/command"
)
