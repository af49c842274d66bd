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

// usual is everything that the guard's answer to the usual request depends on, beside
// the configuration and what the registry holds: one client_id, the certificate, no
// other credential, nothing that was sent twice.
type usual struct {
	clientID, thumbprint string
	revokes              bool
}

func (q *request) usual(who *verify.ClientAuthentication, cert *verify.Certificate) (usual, bool) {
	if q.r.Method != http.MethodPost || cert == nil || len(who.ClientIDs) != 1 || who.Repeated != "" || who.Garbled != "" || who.InQuery || who.Secret || who.Assertion || who.Empty ||
		q.options().BindAccessTokens || q.options().InlineKeys { // there is more to do
		return usual{}, false
	}
	return usual{clientID: who.ClientIDs[0], thumbprint: cert.Thumbprint, revokes: q.purpose == revocation}, true
}

// passed remembers the usual requests that the guard has let through, for as long
// as the registry holds what it held then: reading a client out of a hundred
// thousand on disk takes 30 us. It is the configuration's own, and ends with it. What
// it remembers is bounded, 4 MiB from the first request on.
type passed struct {
	once  sync.Once
	seeds [2]maphash.Seed
	locks [64]sync.Mutex
	sets  [][passWays]pass // each under the lock of its number
}

// passSets times passWays are remembered, of a hundred thousand nearly all.
const (
	passSets = 1 << 13
	passWays = 16
)

// pass is one of them, 32 bytes. Its name is 128 bits of a keyed hash.
type pass struct {
	name    [2]uint64
	reading registry.Reading
}

func (p *passed) find(u usual) (name [2]uint64, set *[passWays]pass, lock *sync.Mutex) {
	p.once.Do(func() {
		p.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
		p.sets = make([][passWays]pass, passSets)
	})
	for i, seed := range p.seeds {
		name[i] = maphash.Comparable(seed, u)
	}
	n := name[0] % passSets
	return name, &p.sets[n], &p.locks[n%uint64(len(p.locks))]
}

// before tells whether such a request was let through, and would be again.
func (p *passed) before(u usual, store *registry.Registry) bool {
	name, set, lock := p.find(u)
	lock.Lock()
	defer lock.Unlock()
	for i := range set {
		if set[i].name == name {
			return store.Unchanged(set[i].reading)
		}
	}
	return false
}

// remember takes the place that such a request had, or one that is free, or any: the
// oldest would be the next to be asked for where all come in turn.
func (p *passed) remember(u usual, reading registry.Reading) {
	if reading == (registry.Reading{}) {
		return // of a store where it never counts
	}
	name, set, lock := p.find(u)
	lock.Lock()
	defer lock.Unlock()
	at := slices.IndexFunc(set[:], func(q pass) bool { return q.name == name })
	if at < 0 {
		at = slices.Index(set[:], pass{})
	}
	if at < 0 {
		at = rand.IntN(len(set))
	}
	set[at] = pass{name, reading}
}
