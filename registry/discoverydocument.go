package registry

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// Documents is the place of one workspace's last good discovery document. server is the
// URL of the authorization server (AS) as it is configured: a document of another one
// names endpoints that this one does not have, and is not given out.
func (r *Registry) Documents(workspace, server string) Documents {
	return Documents{r, key("discovery", workspace), key("discovered", workspace), server}
}

// Documents keeps one document in the store.
type Documents struct {
	registry *Registry
	// key is the document's, as it came; noteKey that of discovered.
	key, noteKey string
	server       string
}

// discovered says of which AS a document is. Versions before it write the document alone:
// the hash tells that this note is not about what they have written.
type discovered struct {
	Server string `json:"server"`
	SHA256 []byte `json:"sha256"`
}

// ErrOtherServer: the document that is kept is of another AS.
var ErrOtherServer = errors.New("of another authorization server")

// Load returns the document. known is false for one of a version that did not note of
// which AS it is.
//
// Errors: ErrNotFound, ErrOtherServer.
func (d Documents) Load(ctx context.Context) (document []byte, known bool, err error) {
	var note []byte
	err = d.registry.store.View(ctx, func(v Reader) (err error) {
		if document, err = v.Get(d.key); err != nil {
			return err
		}
		note, err = get(v, d.noteKey)
		return err
	})
	if err != nil || note == nil {
		return document, false, err
	}
	var of discovered
	if err := json.Unmarshal(note, &of); err != nil {
		return nil, false, fmt.Errorf("registry: unreadable note of a discovery document: %w", err)
	}
	sum := sha256.Sum256(document)
	switch {
	case string(of.SHA256) != string(sum[:]):
		return document, false, nil
	case of.Server != d.server:
		return nil, true, fmt.Errorf("the one in the store was kept of %s: %w", of.Server, ErrOtherServer)
	}
	return document, true, nil
}

// Save replaces the document.
func (d Documents) Save(ctx context.Context, document []byte) error {
	sum := sha256.Sum256(document)
	return d.registry.store.Update(ctx, func(w Writer) error {
		return errors.Join(w.Put(d.key, document), putRecord(w, d.noteKey, discovered{d.server, sum[:]}))
	})
}
