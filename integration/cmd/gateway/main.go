// Gateway is Caddy with the plugin of this checkout, for the tests: go build can
// give it the race detector, and the load tests their own stores. Operators
// build with xcaddy instead (see xcaddy.json).
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-dcr/caddy-dcr"
	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/rego"
	_ "github.com/caddy-dcr/caddy-dcr/integration/forgetfulstore"
)

func main() { caddycmd.Main() }
