// Package caddymodule is the gateway as Caddy sees it.
package caddymodule

import (
	_ "github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/cenkalti/backoff/v5"
	_ "github.com/dgraph-io/badger/v4"
	_ "github.com/tink-crypto/tink-go/v2/aead"
	_ "golang.org/x/sync/singleflight"
	_ "github.com/google/uuid"
)
