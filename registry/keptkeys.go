package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Bounds of the key sets that are kept over restarts. What is above them is forgotten,
// the oldest first, of an organisation's those of its own.
const (
	// MaxKeptBytes is the size of one set, maxKeptSoftwareBytes that of a software's.
	MaxKeptBytes         = 256 << 10
	maxKeptSoftwareBytes = 64 << 10
	// maxKept is how many sets of software there are, maxKeptTotal their size; of one
	// organisation maxKeptOfOne and maxKeptBytesOfOne.
	maxKept           = 4096
	maxKeptTotal      = 64 << 20
	maxKeptOfOne      = 64
	maxKeptBytesOfOne = 1 << 20
	// maxKeptConfigured is how many sets there are whose address the operator wrote.
	maxKeptConfigured = 256
	// keepAgain is how long a set that does not change is not written again, although it
	// was fetched again: that much of its time is lost in a restart.
	keepAgain = time.Hour
)

// KeptKeys is a key set (JWKS) as it was fetched.
type KeptKeys struct {
	Schema int `json:"v"`
	// Scope names how it was fetched and verified. A set counts in its own scope only.
	Scope string `json:"scope"`
	URL   string `json:"url"`
	// Software tells a set that a software statement names from one of a configured
	// address, Organisation whose it is (org_id), empty where nobody has said.
	Software     bool   `json:"software,omitempty"`
	Organisation string `json:"organisation,omitempty"`
	// Body is the set as it came.
	Body []byte `json:"body"`
	// Fetched, Fresh and Until are when it was fetched, and until when it needs no fetch
	// and counts, nanoseconds since 1970.
	Fetched int64 `json:"fetched"`
	Fresh   int64 `json:"fresh"`
	Until   int64 `json:"until"`
}

const keptPrefix = "jwks/"

func keptKey(scope, url string) string {
	sum := sha256.Sum256([]byte(url)) // as long as it likes
	return key("jwks", scope, base64.RawURLEncoding.EncodeToString(sum[:]))
}

func (k *KeptKeys) size() int { return len(k.Body) + len(k.URL) }

// fits tells whether a set is small enough to be kept.
func (k *KeptKeys) fits() bool {
	if k.Software {
		return k.size() <= maxKeptSoftwareBytes
	}
	return k.size() <= MaxKeptBytes
}

// KeptKeys is the set that is kept of a URL in a scope.
//
// Errors: ErrNotFound, also for one that has ended.
func (r *Registry) KeptKeys(ctx context.Context, scope, url string) (*KeptKeys, error) {
	var k KeptKeys
	err := r.store.View(ctx, func(v Reader) error {
		data, err := v.Get(keptKey(scope, url))
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &k)
	})
	switch {
	case err != nil:
		return nil, err
	case k.Schema > schema || k.Scope != scope || k.URL != url || r.now().UnixNano() >= k.Until:
		return nil, ErrNotFound
	}
	return &k, nil
}

// KeepsKeys tells whether a set is kept of a URL in a scope. It reads nothing of the set, so that
// one that has ended may count for some time.
func (r *Registry) KeepsKeys(ctx context.Context, scope, url string) (keeps bool, err error) {
	name := keptKey(scope, url)
	err = r.store.View(ctx, func(v Reader) error {
		found, err := v.Keys(name, "", 1)
		keeps = len(found) == 1 && found[0] == name
		return err
	})
	return keeps, err
}

// keptSets knows what is kept, but for the sets themselves. It is made of the store when
// the first set comes.
type keptSets struct {
	mu   sync.Mutex // held over a transaction: sets are written one by one
	sets map[string]keptSet
}

type keptSet struct {
	software       bool
	organisation   string
	size           int
	sum            [sha256.Size]byte
	fetched, until int64
}

func (k *KeptKeys) set() keptSet {
	return keptSet{k.Software, k.Organisation, k.size(), sha256.Sum256(k.Body), k.Fetched, k.Until}
}

// KeepKeys keeps a set in place of the one before. It writes nothing where that is the
// same and not old. A set that is too large is not kept, and nor is the one before it:
// that may have keys that were withdrawn since.
func (r *Registry) KeepKeys(ctx context.Context, k KeptKeys) error {
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	if err := r.readKept(ctx); err != nil {
		return err
	}
	name, set := keptKey(k.Scope, k.URL), k.set()
	before, there := r.kept.sets[name]
	if !k.fits() {
		if there {
			return r.forgetKept(ctx, name)
		}
		return nil
	}
	if there && before.sum == set.sum && k.Fetched-before.fetched < int64(keepAgain) && k.Until-before.until < int64(keepAgain) {
		return nil
	}
	gone := r.kept.over(name, set, r.now().UnixNano())
	k.Schema = schema
	err := r.store.Update(ctx, func(w Writer) error {
		if err := deleteAll(w, gone); err != nil {
			return err
		}
		return putExpiringRecord(w, name, &k, time.Unix(0, k.Until))
	})
	if err != nil {
		return err
	}
	for _, other := range gone {
		delete(r.kept.sets, other)
	}
	r.kept.sets[name] = set
	return nil
}

func (r *Registry) forgetKept(ctx context.Context, name string) error {
	err := r.store.Update(ctx, func(w Writer) error { return w.Delete(name) })
	if err == nil {
		delete(r.kept.sets, name)
	}
	return err
}

// readKept reads what the store has.
func (r *Registry) readKept(ctx context.Context) error {
	if r.kept.sets != nil {
		return nil
	}
	sets := map[string]keptSet{}
	for e, err := range walk(ctx, r.store, keptPrefix, keptPage) {
		if err != nil {
			return err
		}
		var k KeptKeys
		if err := json.Unmarshal(e.Value, &k); err != nil {
			k = KeptKeys{} // as one that has ended: it goes with the next that comes
		}
		sets[e.Key] = k.set()
	}
	r.kept.sets = sets
	return nil
}

const keptPage = 64

// over are the sets that must go for another one: those that have ended, and the oldest
// of those that are above a bound with it. They are few, because each one that comes
// sends away what it brings too much: what is left of more goes with the next.
func (s *keptSets) over(name string, set keptSet, now int64) (gone []string) {
	count, total, countOfOne, totalOfOne := 1, set.size, 1, set.size
	var ended, others, own []string
	for other, o := range s.sets {
		switch {
		case other == name:
			continue
		case o.until <= now:
			ended = append(ended, other)
			continue
		case o.software != set.software:
			continue
		}
		others, count, total = append(others, other), count+1, total+o.size
		if o.organisation == set.organisation {
			own, countOfOne, totalOfOne = append(own, other), countOfOne+1, totalOfOne+o.size
		}
	}
	most := maxKept
	if !set.software {
		most, own = maxKeptConfigured, nil
	}
	oldest := func(a, b string) int { return int(max(min(s.sets[a].fetched-s.sets[b].fetched, 1), -1)) }
	drop := func(from []string, count, total *int, most, mostBytes int) {
		slices.SortFunc(from, oldest)
		for _, other := range from {
			if *count <= most && *total <= mostBytes {
				return
			}
			if slices.Contains(gone, other) {
				continue
			}
			gone = append(gone, other)
			*count, *total = *count-1, *total-s.sets[other].size
		}
	}
	if own != nil {
		was, wasBytes := countOfOne, totalOfOne
		drop(own, &countOfOne, &totalOfOne, maxKeptOfOne, maxKeptBytesOfOne)
		count, total = count-(was-countOfOne), total-(wasBytes-totalOfOne)
	}
	if count > most || total > maxKeptTotal {
		drop(others, &count, &total, most, maxKeptTotal)
	}
	gone = append(gone, ended...)
	return gone[:min(len(gone), MaxUpdateKeys-1)]
}
