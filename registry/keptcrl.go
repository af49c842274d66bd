package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Bounds of the certificate revocation lists that are kept over restarts. A list is larger
// than an update may be, so it is written in pieces, and counts from the update on that
// names them.
const (
	// MaxKeptCRL is the size of one list.
	MaxKeptCRL = 16 << 20
	crlPiece   = 256 << 10
)

// KeptCRL is a certificate revocation list as it was fetched.
type KeptCRL struct {
	URL  string
	Body []byte
	// Issued is when the CA has issued it, Until how long it is kept. Nanoseconds since 1970.
	Issued, Until int64
}

// keptCRL names the pieces of a list.
type keptCRL struct {
	Schema int    `json:"v"`
	URL    string `json:"url"`
	Sum    string `json:"sum"` // SHA-256 of the list, and part of the keys of its pieces
	Size   int    `json:"size"`
	Issued int64  `json:"issued"`
	Until  int64  `json:"until"`
}

func crlKey(url string) string {
	sum := sha256.Sum256([]byte(url))
	return key("crl", hex.EncodeToString(sum[:]))
}

func (k *keptCRL) pieces() (keys []string) {
	for i := 0; i*crlPiece < k.Size; i++ {
		keys = append(keys, crlKey(k.URL)+"/"+k.Sum+"/"+strconv.Itoa(i))
	}
	return keys
}

func readKeptCRL(get func(string) ([]byte, error), url string) (*keptCRL, error) {
	data, err := get(crlKey(url))
	if err != nil {
		return nil, err
	}
	var k keptCRL
	if err := json.Unmarshal(data, &k); err != nil || k.Schema > schema || k.URL != url || k.Size > MaxKeptCRL {
		return nil, ErrNotFound // the next one replaces it
	}
	return &k, nil
}

// KeptCRL is the list that is kept of a URL.
//
// Errors: ErrNotFound, also for one that has ended.
func (r *Registry) KeptCRL(ctx context.Context, url string) (body []byte, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		body = nil
		k, err := readKeptCRL(v.Get, url)
		if err != nil {
			return err
		}
		if r.now().UnixNano() >= k.Until {
			return ErrNotFound
		}
		for _, name := range k.pieces() {
			piece, err := v.Get(name)
			if err != nil {
				return err
			}
			body = append(body, piece...)
		}
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != k.Sum {
			return fmt.Errorf("registry: the CRL that is kept of %s is damaged", url)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// KeepCRL keeps a list in place of the one before, unless that is newer or the same. What
// is left of one that was not written whole ends by itself.
func (r *Registry) KeepCRL(ctx context.Context, l KeptCRL) error {
	if len(l.Body) > MaxKeptCRL {
		return fmt.Errorf("registry: a CRL of %d bytes is not kept", len(l.Body))
	}
	sum := sha256.Sum256(l.Body)
	k := &keptCRL{Schema: schema, URL: l.URL, Sum: hex.EncodeToString(sum[:]), Size: len(l.Body), Issued: l.Issued, Until: l.Until}
	var before *keptCRL
	err := r.store.View(ctx, func(v Reader) (err error) {
		before, err = readKeptCRL(v.Get, l.URL)
		return err
	})
	if err == nil && (before.Sum == k.Sum || before.Issued > k.Issued) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := r.writeCRL(ctx, k, l.Body); err != nil {
		return err
	}
	return r.nameCRL(ctx, k)
}

// writeCRL writes the pieces of a list.
func (r *Registry) writeCRL(ctx context.Context, k *keptCRL, body []byte) error {
	for _, name := range k.pieces() {
		piece := bytes.Clone(body[:min(crlPiece, len(body))])
		body = body[len(piece):]
		err := r.store.Update(ctx, func(w Writer) error { return w.PutExpiring(name, piece, time.Unix(0, k.Until)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// nameCRL has the pieces of a list count, and removes those of the one before. Where another
// gateway has kept a newer list meanwhile, those of this one are removed.
func (r *Registry) nameCRL(ctx context.Context, k *keptCRL) error {
	var gone []string
	err := r.store.Update(ctx, func(w Writer) error {
		gone = nil
		before, err := readKeptCRL(w.Get, k.URL)
		switch {
		case err == nil && before.Sum == k.Sum:
			return nil
		case err == nil && before.Issued > k.Issued:
			gone = k.pieces()
			return nil
		case err == nil:
			gone = before.pieces()
		case !errors.Is(err, ErrNotFound):
			return err
		}
		return putExpiringRecord(w, crlKey(k.URL), k, time.Unix(0, k.Until))
	})
	for len(gone) > 0 && err == nil {
		some := gone[:min(len(gone), MaxUpdateKeys)]
		gone = gone[len(some):]
		err = r.store.Update(ctx, func(w Writer) error { return deleteAll(w, some) })
	}
	return err
}
