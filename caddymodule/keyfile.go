package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// maxKeyFile is the size of a JWKS file, at most.
const maxKeyFile = jwks.DefaultMaxBytes

// keyFile is the verify.KeySource of a JWKS file, as it was when it was good last.
type keyFile struct {
	name    string
	keys    atomic.Pointer[[]verify.Key]
	log     *slog.Logger
	leftOut *leftOutKeys
}

// newKeyFile reads a file, and has it watched.
func newKeyFile(name string, watch *fileWatch) (*keyFile, error) {
	k := &keyFile{name: name, log: watch.log, leftOut: newLeftOutKeys(watch.log, "file")}
	watch.add("jwks "+name, fixed(name), k.read)
	return k, k.read()
}

func (k *keyFile) read() error {
	data, err := readAtMost(k.name, maxKeyFile)
	if err != nil {
		if inner := new(fs.PathError); !errors.As(err, &inner) {
			return fmt.Errorf("jwks %w", err)
		}
		return fmt.Errorf("jwks: %w", err)
	}
	keys, leftOut, err := verify.ReadJWKS(data)
	k.leftOut.tell(k.name, leftOut)
	unusable := (*verify.UnusableKeys)(nil)
	switch {
	case errors.As(err, &unusable) && unusable.Set == nil && k.keys.Load() != nil: // they were withdrawn
		k.log.Warn("found no usable key in a JWKS file that has changed: no signature verifies with it", slog.String("file", k.name), slog.Any("error", err),
			slog.String("cure", "where not all keys were meant to be withdrawn, write a usable one into the file"))
	case err != nil:
		return fmt.Errorf("jwks %s: %w", k.name, err)
	}
	k.keys.Store(&keys)
	return nil
}

// Keys returns the keys.
func (k *keyFile) Keys(context.Context) ([]verify.Key, error) { return *k.keys.Load(), nil }

// Refresh returns the keys: whoever sends unknown kids makes nobody read files.
func (k *keyFile) Refresh(context.Context) ([]verify.Key, error) { return *k.keys.Load(), nil }

// KeyPair is a certificate with its key.
type KeyPair struct {
	// Certificate and Key are files in PEM; a chain after the certificate. They are
	// read again when they change. Required.
	Certificate string `json:"certificate"`
	Key         string `json:"key"`

	pair atomic.Pointer[tls.Certificate]
	// replaced is called after another pair was read.
	replaced func()
}

// load reads the pair, and has its files watched; nil for nil.
func (k *KeyPair) load(watch *fileWatch) (func() *tls.Certificate, error) {
	if k == nil {
		return nil, nil
	}
	watch.add("tls_client_auth", fixed(k.Certificate, k.Key), k.read)
	if err := k.read(); err != nil {
		return nil, err
	}
	return k.pair.Load, nil
}

func (k *KeyPair) read() error {
	pair, err := tls.LoadX509KeyPair(k.Certificate, k.Key)
	if err != nil {
		return fmt.Errorf("tls_client_auth: %w", err)
	}
	k.pair.Store(&pair)
	if k.replaced != nil {
		k.replaced()
	}
	return nil
}
