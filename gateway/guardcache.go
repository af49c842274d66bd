package gateway

import (
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// guardKey is everything that the guard's answer to a plain request depends on, beside the
// configuration and what the registry holds: one client_id, the certificate, no other
// credential, nothing that was sent twice.
type guardKey struct {
	clientID, thumbprint string
	revokes              bool
}

// guardKey is that of a request. plain says that it is such a one.
func (q *request) guardKey(who *verify.ClientAuthentication, cert *verify.Certificate) (key guardKey, plain bool) {
	if q.r.Method != http.MethodPost || cert == nil || len(who.ClientIDs) != 1 || who.Repeated != "" || who.Garbled != "" || who.InQuery || who.Secret || who.Assertion || who.Empty ||
		q.options().BindAccessTokens || q.options().InlineKeys { // there is more to do
		return guardKey{}, false
	}
	return guardKey{clientID: who.ClientIDs[0], thumbprint: cert.Thumbprint, revokes: q.purpose == revocation}, true
}

// guardCache remembers the plain requests that the guard has let through, for as long
// as their records have not changed: reading a client out of a hundred
// thousand on disk takes 30 us. It is the configuration's own, and ends with it. What
// it remembers is bounded, 5 MiB from the first request on.
type guardCache struct {
	once  sync.Once
	seeds [2]maphash.Seed
	locks [64]sync.Mutex
	sets  [][cacheWays]cached // each under the lock of its number
}

// cacheSets times cacheWays are remembered, of a hundred thousand nearly all.
const (
	cacheSets = 1 << 13
	cacheWays = 16
)

// cached is one of them, 40 bytes. Its name is 128 bits of a keyed hash, day that on which its
// client was marked as used last, 0 for none.
type cached struct {
	name    [2]uint64
	reading registry.Reading
	day     int64
}

func (p *guardCache) find(key guardKey) (name [2]uint64, set *[cacheWays]cached, lock *sync.Mutex) {
	p.once.Do(func() {
		p.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
		p.sets = make([][cacheWays]cached, cacheSets)
	})
	for i, seed := range p.seeds {
		name[i] = maphash.Comparable(seed, key)
	}
	n := name[0] % cacheSets
	return name, &p.sets[n], &p.locks[n%uint64(len(p.locks))]
}

// allowed tells whether such a request was let through, and would be again. marked: that was
// asked before on the same day.
func (p *guardCache) allowed(key guardKey, store *registry.Registry, day int64) (is, marked bool) {
	name, set, lock := p.find(key)
	lock.Lock()
	defer lock.Unlock()
	for i := range set {
		if set[i].name == name {
			if is = store.Unchanged(set[i].reading); is {
				marked, set[i].day = set[i].day == day, day
			}
			return is, marked
		}
	}
	return false, false
}

// remember takes the place that such a request had, or one that is free, or any: the
// oldest would be the next to be asked for where all come in turn.
func (p *guardCache) remember(key guardKey, reading registry.Reading) {
	if reading == (registry.Reading{}) {
		return // of a store where it never counts
	}
	name, set, lock := p.find(key)
	lock.Lock()
	defer lock.Unlock()
	at := slices.IndexFunc(set[:], func(q cached) bool { return q.name == name })
	if at < 0 {
		at = slices.Index(set[:], cached{})
	}
	if at < 0 {
		at = rand.IntN(len(set))
	}
	set[at] = cached{name: name, reading: reading}
}
