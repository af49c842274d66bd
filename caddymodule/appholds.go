package caddymodule

import (
	"errors"
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Cleanup takes the app's own hold off the store, and waits until it is closed where
// that was the last one: the process may end after it. Requests at work have holds of
// their own.
func (a *App) Cleanup() error {
	a.mu.Lock()
	started := a.started
	a.started, a.gone = false, true
	a.mu.Unlock()
	a.cancelChecks()
	if started {
		a.waitForChecks(probesEndWithin)
		a.keeping.wait()
		a.end(a.leave())
	}
	return nil
}

// Enter holds the store open until Leave. A request may come before Start (apps
// start in any order) and after Cleanup (a reload does not wait for requests).
func (a *App) Enter() (*registry.Registry, error) { return a.enter(false) }

// errGone is what enterBehind returns once the configuration has ended.
var errGone = errors.New("this configuration has ended")

// enterBehind is Enter for work that no request waits for, and that may still be under
// way when everything has ended: it does not open the store again.
func (a *App) enterBehind() (*registry.Registry, error) { return a.enter(true) }

func (a *App) enter(behind bool) (*registry.Registry, error) {
	for {
		r, wait, err := a.share(behind)
		if r != nil || err != nil {
			return r, err
		}
		if wait == nil {
			return a.open()
		}
		<-wait // whoever opens it waits for no longer than hold does
	}
}

// share takes a hold where the store is open. Otherwise it gives what to wait for while
// somebody opens it, and where nobody does, the caller must open it.
func (a *App) share(behind bool) (r *registry.Registry, wait chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.users > 0:
		a.users++
		return a.registry, nil, nil
	case a.opening != nil:
		return nil, a.opening, nil
	case behind && a.gone:
		return nil, nil, errGone
	}
	a.opening = make(chan struct{})
	return nil, nil, nil
}

// open opens the store and takes the first hold. Nothing else of the app waits meanwhile.
func (a *App) open() (r *registry.Registry, err error) {
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if r != nil {
			a.registry, a.users = r, 1
			for _, h := range a.workspaces {
				a.giveBack = append(a.giveBack, r.Attach(h.workspace()))
			}
		}
		close(a.opening)
		a.opening = nil
	}()
	return stores.acquire(a.ctx, a.engine, opening{a.keyset, a.Restored, a.KeysetLost}, a.log)
}

// EnterOpen is Enter where the store is open anyway.
func (a *App) EnterOpen() (*registry.Registry, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == 0 {
		return nil, false
	}
	a.users++
	return a.registry, true
}

// Leave ends the hold of one Enter. Where that was the last one the store is closed, and
// the request that leaves does not wait for it.
func (a *App) Leave() {
	if finish := a.leave(); finish != nil {
		go a.end(finish)
	}
}

// leave ends a hold. After the last one there is a store to be closed.
func (a *App) leave() (finish func() error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users--; a.users > 0 {
		return nil
	}
	for _, giveBack := range a.giveBack {
		giveBack()
	}
	store := a.registry
	a.giveBack, a.registry = nil, nil
	if a.engine == nil {
		return store.Close // of an explanation
	}
	return stores.giveBack(a.engine.Key())
}

// end closes a store; nil is none.
func (a *App) end(finish func() error) {
	if finish == nil {
		return
	}
	if err := finish(); err != nil {
		a.log.Error("cannot close the store", slog.Any("error", err))
	}
}
