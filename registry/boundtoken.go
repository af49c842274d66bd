package registry

import (
	"context"
	"errors"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// BindToken remembers that an access token is good with one certificate only (RFC
// 8705 3), until t.Expires. thumbprint is the certificate's x5t#S256.
func (r *Registry) BindToken(ctx context.Context, workspace string, t *verify.AccessToken, thumbprint string) error {
	return r.store.Update(ctx, func(w Writer) error {
		for _, k := range boundKeys(workspace, t) {
			if err := w.PutExpiring(k, []byte(thumbprint), t.Expires.Add(skew)); err != nil {
				return err
			}
		}
		return nil
	})
}

// TokenBinding is the certificate that BindToken has bound a token to, in whatever
// spelling it comes; empty for none.
func (r *Registry) TokenBinding(ctx context.Context, workspace string, t *verify.AccessToken) (thumbprint string, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		for _, k := range boundKeys(workspace, t) {
			value, err := v.Get(k)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			thumbprint = string(value)
			return err
		}
		return nil
	})
	return thumbprint, err
}

func boundKeys(workspace string, t *verify.AccessToken) (keys []string) {
	for _, k := range t.Keys() {
		keys = append(keys, key("bound", workspace, k))
	}
	return keys
}
