package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// redirectURIs make a software statement as long as those of the Open Banking
// directory are: 6 to 7 KB.
func redirectURIs() []string {
	uris := make([]string, 40)
	for i := range uris {
		uris[i] = fmt.Sprintf("https://tpp.example/banks/%02d/%s/callback", i, uuid.NewString())
	}
	return uris
}

// registerPath is where clients register.
const registerPath = story.Prefix + "/openbankinguk/dcr/v3.2/register"

// sign makes n registration requests, each with a jti of its own, before any
// clock starts: a signature costs more than all that the gateway does with it.
func (b *bank) sign(ctx context.Context, n int) ([]request, error) {
	statement, err := b.software.Statement(nil)
	if err != nil {
		return nil, err
	}
	claims, err := b.software.RequestClaims(map[string]any{
		"software_statement": statement, "redirect_uris": b.software.RedirectURIs[:2],
	})
	if err != nil {
		return nil, err
	}
	out := make([]request, n)
	err = inParallel(ctx, n, func(i int) error {
		// A copy: claims are read by all.
		own := make(map[string]any, len(claims))
		for name, value := range claims {
			own[name] = value
		}
		own["jti"] = uuid.NewString()
		jws, err := b.software.Signing.Sign(own, nil)
		out[i] = b.registration(jws, "")
		return err
	})
	return out, err
}

// authorize gives each request a registration token of its own. The bodies are shared.
func (b *bank) authorize(ctx context.Context, requests []request) ([]request, error) {
	out := make([]request, len(requests))
	err := inParallel(ctx, len(requests), func(i int) error {
		token, err := b.as.registrationToken()
		out[i] = request{head: b.registrationHead(len(requests[i].body), token), body: requests[i].body}
		return err
	})
	return out, err
}

func (b *bank) registration(jws, token string) request {
	return request{head: b.registrationHead(len(jws), token), body: []byte(jws)}
}

func (b *bank) registrationHead(length int, token string) []byte {
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nContent-Type: application/jose\r\nContent-Length: %d\r\n",
		registerPath, b.address(b.site), length)
	if token != "" {
		head = fmt.Appendf(head, "Authorization: Bearer %s\r\n", token)
	}
	return append(head, "\r\n"...)
}

// inParallel calls f(0) to f(n-1) on all cores, until one fails or ctx ends.
func inParallel(ctx context.Context, n int, f func(int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var next atomic.Int64
	var working sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					fail(err)
				}
			}
		})
	}
	working.Wait()
	return context.Cause(ctx)
}
