package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// The key sets of directories, of software and of the AS are kept in the store, so that a
// reload or a restart while their servers are down changes nothing. They are written
// behind the requests, and read only where a fetch has failed.

// keptKeys keeps the sets of one scope.
type keptKeys struct {
	app   *App
	scope string
}

// keptKeysOf is the keeper of what is fetched in one way: parts are everything that must
// be the same for a set to count, the trust_pool among it. Sets of another configuration
// are not even found.
func (a *App) keptKeysOf(parts ...any) jwks.Keeper {
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // only for what is no text, number or list
	}
	sum := sha256.Sum256(text)
	return keptKeys{a, base64.RawURLEncoding.EncodeToString(sum[:16])}
}

// keepWithin bounds one write or reading of a set.
const keepWithin = 5 * time.Second

// Kept is the last set of a URL.
func (k keptKeys) Kept(ctx context.Context, url string) (jwks.Kept, bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	r, err := k.app.enterBehind()
	if err != nil {
		return jwks.Kept{}, false
	}
	defer k.app.Leave()
	kept, err := r.KeptKeys(ctx, k.scope, url)
	if err != nil {
		if !errors.Is(err, registry.ErrNotFound) {
			k.app.log.Warn("cannot read keys from the store", slog.String("url", url), slog.Any("error", err))
		}
		return jwks.Kept{}, false
	}
	k.app.log.Warn("cannot fetch keys; uses those in the store", slog.String("url", url), slog.Time("fetched", time.Unix(0, kept.Fetched)), slog.Time("until", time.Unix(0, kept.Until)))
	return jwks.Kept{URL: kept.URL, Organisation: kept.Organisation, Software: kept.Software, Body: kept.Body, Fetched: time.Unix(0, kept.Fetched), Fresh: time.Unix(0, kept.Fresh)}, true
}

// Keep has a set written soon.
func (k keptKeys) Keep(set jwks.Kept) {
	keys := registry.KeptKeys{
		Scope: k.scope, URL: set.URL, Software: set.Software, Organisation: set.Organisation, Body: set.Body,
		Fetched: set.Fetched.UnixNano(), Fresh: set.Fresh.UnixNano(), Until: set.Until().UnixNano(),
	}
	k.app.keeping.put(k.app, [2]string{k.scope, set.URL}, func(ctx context.Context, r *registry.Registry) error { return r.KeepKeys(ctx, keys) })
}

// maxKeeping is how many sets wait to be written.
const maxKeeping = 4096

// keeping writes sets, and CRLs, one after the other.
type keeping struct {
	mu sync.Mutex
	// waiting are what writes the newest of each scope and URL, writing is closed when none
	// is left; nil then.
	waiting map[[2]string]keep
	writing chan struct{}
}

// keep writes one.
type keep func(context.Context, *registry.Registry) error

func (q *keeping) put(a *App, name [2]string, write keep) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.waiting[name]; !ok && len(q.waiting) >= maxKeeping {
		a.log.Warn("does not store a key set or a CRL, because too many wait to be stored", slog.String("url", name[1]))
		return
	}
	if q.waiting == nil {
		q.waiting = map[[2]string]keep{}
	}
	q.waiting[name] = write
	if q.writing == nil {
		q.writing = make(chan struct{})
		go q.run(a, q.writing)
	}
}

// run writes what waits, and ends.
func (q *keeping) run(a *App, ended chan struct{}) {
	defer close(ended)
	for {
		q.mu.Lock()
		waiting := q.waiting
		q.waiting = nil
		if waiting == nil {
			q.writing = nil
		}
		q.mu.Unlock()
		if waiting == nil {
			return
		}
		for name, write := range waiting {
			a.keep(name[1], write)
		}
	}
}

// wait returns when nothing waits to be written, or after keepWithin.
func (q *keeping) wait() {
	q.mu.Lock()
	writing := q.writing
	q.mu.Unlock()
	if writing == nil {
		return
	}
	select {
	case <-writing:
	case <-time.After(keepWithin):
	}
}

func (a *App) keep(url string, write keep) {
	ctx, cancel := context.WithTimeout(context.Background(), keepWithin)
	defer cancel()
	r, err := a.enterBehind()
	if errors.Is(err, errGone) {
		return // the next configuration keeps its own
	}
	if err == nil {
		err = write(ctx, r)
		a.Leave()
	}
	if err != nil {
		a.log.Warn("cannot store a key set or a CRL; a restart while its server is down would have an older one, or none", slog.String("url", url), slog.Any("error", err))
	}
}

// trustName is everything that a trust_pool is known by: its configuration, and the files
// that this names. Those that cannot be read are left to the pool.
func trustName(raw json.RawMessage) any {
	var pool struct {
		Files []string `json:"pem_files"`
	}
	if err := json.Unmarshal(raw, &pool); err != nil {
		return string(raw)
	}
	name := []string{string(raw)}
	for _, file := range pool.Files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		sum := sha256.Sum256(text)
		name = append(name, base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	return name
}
