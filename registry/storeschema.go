package registry

import (
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/registry/backup"
)

// migration makes of one record of a schema what the next schema has in its place: nothing,
// one record or several. It is pure.
type migration func(backup.Record) ([]backup.Record, error)

// migrations are by the schema that they begin at. There is none yet: schema 1 is the first.
var migrations = map[int]migration{}

// migrateFrom makes records of an earlier schema those of this version.
//
// Errors: a schema that is newer, or that no version had.
func migrateFrom(from int) (migration, error) {
	if from > StoreSchema {
		return nil, fmt.Errorf("registry: the backup has schema %d, this version knows %d: run the newer version", from, StoreSchema)
	}
	for schema := from; schema < StoreSchema; schema++ {
		if migrations[schema] == nil {
			return nil, fmt.Errorf("registry: the backup has schema %d, from which there is no way to schema %d", from, StoreSchema)
		}
	}
	return func(r backup.Record) ([]backup.Record, error) {
		records := []backup.Record{r}
		for schema := from; schema < StoreSchema; schema++ {
			var next []backup.Record
			for _, record := range records {
				made, err := migrations[schema](record)
				if err != nil {
					return nil, fmt.Errorf("registry: migrating %s from schema %d: %w", record.Key, schema, err)
				}
				next = append(next, made...)
			}
			records = next
		}
		return records, nil
	}, nil
}
