package authserver

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Times of the discovery document. The AS's max-age counts within minAge and maxAge.
const (
	defaultAge = 5 * time.Minute
	minAge     = time.Minute
	maxAge     = time.Hour
	// retryEvery is the pause after a fetch that failed.
	retryEvery = 10 * time.Second
	// fetchTimeout is how long requests wait for the first document.
	fetchTimeout = 5 * time.Second
)

// discovery is what is known of the AS's document.
type discovery struct {
	state atomic.Pointer[discovered]
	// flight is shared by those who wait for the first document, renewing is set
	// while a known one is fetched again.
	flight   singleflight.Group
	renewing atomic.Bool
}

// discovered is one outcome of a fetch; it is not changed afterwards.
type discovered struct {
	metadata *Metadata // nil: never known
	raw      []byte
	next     time.Time // when to fetch again
	failed   error     // of the last fetch
}

// MetadataKey is that of a context whose value is the document (*Metadata) of everything that
// is done with it: one request sees one document.
type MetadataKey struct{ Server *Server }

// Metadata is the AS's current document, or that of MetadataKey. Requests wait only
// for the first one, together, at most fetchTimeout; later it is fetched in the
// background, and while that fails the last good one counts, from the store after a
// restart. The pointer stays the same until something changes.
//
// Errors: Unavailable.
func (s *Server) Metadata(ctx context.Context) (*Metadata, error) {
	if m, ok := ctx.Value(MetadataKey{s}).(*Metadata); ok {
		return m, nil
	}
	now := s.Now()
	d := s.known.state.Load()
	if d != nil && now.Before(d.next) {
		return d.result()
	}
	if d != nil && d.metadata != nil {
		if s.known.renewing.CompareAndSwap(false, true) {
			go func() {
				defer s.known.renewing.Store(false)
				s.discover(ctx, d)
			}()
		}
		return d.metadata, nil
	}
	done := s.known.flight.DoChan("", func() (any, error) { return s.discover(ctx, d), nil })
	select {
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	case r := <-done:
		return r.Val.(*discovered).result()
	}
}

func (d *discovered) result() (*Metadata, error) {
	if d.metadata == nil {
		return nil, d.failed
	}
	return d.metadata, nil
}

// discover fetches the document once and makes the outcome known, for everybody
// and not only for the request that it was begun for.
func (s *Server) discover(ctx context.Context, before *discovered) *discovered {
	if now := s.known.state.Load(); now != before {
		return now // somebody was faster
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	d := &discovered{}
	if before != nil {
		*d = *before
	}
	raw, age, err := s.fetchDocument(ctx)
	if err == nil && bytes.Equal(raw, d.raw) && d.metadata != nil {
		d.next, d.failed = s.Now().Add(age), nil
		s.known.state.Store(d)
		return d
	}
	var m *Metadata
	if err == nil {
		m, err = s.readMetadata(raw)
	}
	switch {
	case err == nil:
		d.metadata, d.raw, d.next, d.failed = m, raw, s.Now().Add(age), nil
		s.save(ctx, raw)
	default:
		d.next, d.failed = s.Now().Add(retryEvery), unavailable(fmt.Errorf("discovery document: %w", err))
		if d.metadata == nil {
			d.metadata, d.raw = s.load(ctx)
		}
		s.log.Warn("cannot fetch the authorization server's discovery document", slog.String("url", s.URL), slog.Any("error", err), slog.Bool("uses_older_document", d.metadata != nil))
	}
	s.known.state.Store(d)
	return d
}

// fetchDocument gets the document of OpenID Connect Discovery 4 or, where there is
// none, that of RFC 8414 as some servers have it.
func (s *Server) fetchDocument(ctx context.Context) ([]byte, time.Duration, error) {
	base := strings.TrimSuffix(s.URL, "/") + "/.well-known/"
	var res *jwks.Response
	for _, name := range []string{"openid-configuration", "oauth-authorization-server"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+name, nil)
		if err != nil {
			return nil, 0, err
		}
		r.Header.Set("Accept", "application/json")
		if res, err = s.Client.Do(r); err != nil {
			return nil, 0, err
		}
		if res.Status != http.StatusNotFound {
			break
		}
	}
	if res.Status != http.StatusOK {
		return nil, 0, fmt.Errorf("status %d", res.Status)
	}
	return res.Body, jwks.Age(res.Header, defaultAge, minAge, maxAge), nil
}

func (s *Server) save(ctx context.Context, raw []byte) {
	if s.Documents == nil {
		return
	}
	if err := s.Documents.Save(ctx, raw); err != nil {
		s.log.Warn("cannot store the discovery document; a restart while the authorization server is down would have none", slog.Any("error", err))
	}
}

// load is the last good document of an earlier run.
func (s *Server) load(ctx context.Context) (*Metadata, []byte) {
	if s.Documents == nil {
		return nil, nil
	}
	// The fetch may have used up its time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	raw, err := s.Documents.Load(ctx)
	if err != nil {
		s.log.Warn("cannot use the discovery document in the store", slog.Any("error", err))
		return nil, nil
	}
	m, err := s.readMetadata(raw)
	if err != nil {
		s.log.Warn("cannot read the discovery document in the store", slog.Any("error", err))
		return nil, nil
	}
	return m, raw
}
