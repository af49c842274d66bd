package caddymodule

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// PolicyFiles is what a guest of http.openbanking_dcr.policies may be too: one that was
// made of files. When one of them changes, another guest is made of them, in the same way
// as when the configuration was loaded, and asked from then on.
type PolicyFiles interface {
	// Files are their names now, folders among them where new files count too. None, where
	// nothing can change.
	Files() ([]string, error)
}

// rereadPolicy is the policy of files as they were when they were good last.
type rereadPolicy struct {
	raw json.RawMessage
	ctx caddy.Context
	now atomic.Pointer[Policy]
	// unload ends the guest that is asked now, where it is not the first, and unloadBefore
	// the one before it, of which a request may still wait for a decision.
	unload, unloadBefore context.CancelFunc
}

// watch has the files of a policy watched that was begun to be read at a time.
func (p *Policy) watch(ctx caddy.Context, raw json.RawMessage, watch *fileWatch, began time.Time) error {
	guest, ok := p.policy.(PolicyFiles)
	if !ok {
		return nil
	}
	names, err := guest.Files()
	if err != nil || len(names) == 0 {
		return err
	}
	p.file = &rereadPolicy{raw: raw, ctx: ctx}
	p.file.now.Store(p)
	again := func() error { return p.file.read(p) }
	watch.add("policy "+p.Name, func() ([]string, error) { return p.inUse().policy.(PolicyFiles).Files() }, again)
	// What changed while they were read for the first time, nobody would see.
	for _, name := range names {
		if s, err := statFile(name); err == nil && !changed(s.info).Before(began.Add(-lookEvery)) {
			return again()
		}
	}
	return nil
}

// inUse is the policy as it is to be asked by one request.
func (p *Policy) inUse() *Policy {
	if p.file == nil {
		return p
	}
	return p.file.now.Load()
}

func (f *rereadPolicy) read(first *Policy) error {
	ctx, unload := caddy.NewContext(f.ctx)
	next := &Policy{
		PolicyRaw: f.raw, Name: first.Name, On: first.On, Shadow: first.Shadow, Text: first.Text, Code: first.Code, Timeout: first.Timeout,
		kind: first.kind, language: first.language,
	}
	if err := next.load(ctx); err != nil {
		unload()
		return err
	}
	f.now.Store(next)
	if f.unloadBefore != nil {
		f.unloadBefore()
	}
	f.unload, f.unloadBefore = unload, f.unload
	return nil
}
