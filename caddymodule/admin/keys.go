package admin

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// KeySet is a JWKS that the gateway has fetched, or is to fetch. Times are RFC 3339; those that
// are not known are left out.
type KeySet struct {
	ID        string `json:"id"`
	Workspace string `json:"workspace"`
	// Kind is whose keys these are: directory, software, revoked, signed_request_body or
	// authorization_server.
	Kind         string `json:"kind"`
	Directory    string `json:"directory,omitempty"`
	Organisation string `json:"org_id,omitempty"`
	URL          string `json:"url"`
	// Keys is how many there are, KeyIDs the kid of those that have one, a hundred at most.
	Keys   int      `json:"keys"`
	KeyIDs []string `json:"key_ids"`
	// AgeSeconds is how long ago they were fetched.
	FetchedAt  time.Time `json:"fetched_at,omitzero"`
	AgeSeconds int64     `json:"age_seconds,omitempty"`
	// RefreshAfter is from when on the next request that needs them has them fetched again,
	// UsedUntil when they end if that fails.
	RefreshAfter time.Time `json:"refresh_after,omitzero"`
	UsedUntil    time.Time `json:"used_until,omitzero"`
	TriedAt      time.Time `json:"tried_at,omitzero"`
	// Error is that of the last attempt, NextAttempt from when on there may be another.
	Error       string    `json:"error,omitempty"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Kept: the store has a copy, for a start while the server is down.
	Kept bool `json:"kept"`
}

// keys lists the key sets.
func (c *call) keys() (any, error) {
	q, err := c.query(nil, "workspace", "cursor", "limit")
	if err == nil {
		err = c.filter()
	}
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	if err := checkKeyCursor(q["cursor"]); err != nil {
		return nil, err
	}
	sets := slices.DeleteFunc(c.app.KeySets(q["workspace"]), func(k caddymodule.KeySet) bool { return k.ID <= q["cursor"] })
	list := page{Entries: []KeySet{}}
	if len(sets) > n {
		sets = sets[:n]
		list.Next = sets[n-1].ID
	}
	entries := []KeySet{}
	for _, k := range sets {
		one, err := c.showKeys(k)
		if err != nil {
			return nil, err
		}
		entries = append(entries, one)
	}
	list.Entries = entries
	return list, nil
}

// checkKeyCursor refuses what is not the ID of a key set. One that is gone meanwhile counts.
func checkKeyCursor(cursor string) error {
	if sum, err := base64.RawURLEncoding.DecodeString(cursor); cursor != "" && (err != nil || len(sum) != 12) {
		return registry.ErrCursor
	}
	return nil
}

func (c *call) showKeys(k caddymodule.KeySet) (KeySet, error) {
	s := k.State()
	one := KeySet{
		ID: k.ID, Workspace: k.Workspace, Kind: k.Kind, Directory: k.Directory, Organisation: s.Organisation, URL: s.URL, Keys: s.Keys, KeyIDs: nonNil(s.KeyIDs),
		FetchedAt: utc(s.Fetched), RefreshAfter: utc(s.Fresh), UsedUntil: utc(s.Until), TriedAt: utc(s.Tried), NextAttempt: utc(s.Next),
	}
	if !s.Fetched.IsZero() {
		one.AgeSeconds = int64(time.Since(s.Fetched).Seconds())
	}
	if s.Failed != nil {
		one.Error = s.Failed.Error()
	}
	var err error
	one.Kept, err = k.Kept(c.r.Context(), c.registry)
	return one, err
}

// utc is a time as the API writes it.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// keySet shows one.
func (c *call) keySet() (any, error) {
	k, err := c.namedKeys()
	if err != nil {
		return nil, err
	}
	return c.showKeys(k)
}

// namedKeys is the key set that the path names. Its ID is unique.
func (c *call) namedKeys() (k caddymodule.KeySet, err error) {
	q, err := c.query(nil, "workspace")
	if err == nil {
		err = c.filter()
	}
	if err != nil {
		return k, err
	}
	sets := c.app.KeySets(q["workspace"])
	i := slices.IndexFunc(sets, func(k caddymodule.KeySet) bool { return k.ID == c.path["id"] })
	if i < 0 {
		return k, fmt.Errorf("%w: no key set has this id; the sets of software are those that were used last", registry.ErrNotFound)
	}
	return sets[i], nil
}

// refreshKeys has a key set fetched, and shows what came of it. It changes no record, so that it
// needs no entity tag.
func (c *call) refreshKeys() (any, error) {
	k, err := c.namedKeys()
	if err != nil {
		return nil, err
	}
	act, err := c.said()
	if err != nil {
		return nil, err
	}
	fetched := k.Refresh(c.r.Context())
	state := k.State()
	log := operatorLog(act).With(slog.String("url", state.URL))
	switch {
	case state.Failed != nil:
		log.Warn("cannot refresh a key set as an operator requested", slog.Any("error", state.Failed))
	case fetched:
		log.Info("refreshed a key set as an operator requested")
	}
	one, err := c.showKeys(k)
	return struct {
		KeySet
		// Fetched: the server was asked.
		Fetched bool `json:"fetched"`
	}{one, fetched}, err
}
