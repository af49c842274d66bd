package registry

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry/backup"
)

// Migrate has a migration from a schema until the end of a test.
func Migrate(t *testing.T, from int, m func(backup.Record) ([]backup.Record, error)) {
	migrations[from] = m
	t.Cleanup(func() { delete(migrations, from) })
}
