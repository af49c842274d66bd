//go:build crashpoints

package badger

import "github.com/caddy-dcr/caddy-dcr/registry"

func init() { crashpoint = registry.Crashpoint }
