package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
)

// Inspection is a workspace of a provisioned configuration, for whoever checks it against
// its servers. It serves nothing, and its store is in memory: the configured one is neither
// opened nor made.
type Inspection struct {
	// Workspace is its name, Hosts those of its site; none where it takes any host.
	Workspace string
	Hosts     []string
	// Server is the authorization server (AS), with the client that asks it.
	Server *authserver.Server
	// Metadata is its document once Try has read it, also one that cannot be used; nil where
	// there is none.
	Metadata *authserver.Metadata

	handler *Handler
}

// Trial is what came of one thing that the gateway tries in the background too.
type Trial struct {
	// Kind is authorization_server, directory or client, URL what was asked, and Of which of
	// several: a client_id, or the word of the configuration.
	Kind, URL, Of string
	// Err is nil where it is right, and Cure what to do about it.
	Err  error
	Cure string
	// Lacks are, of the AS's document, each thing that is wrong with it.
	Lacks []Lack
}

// Lack is one thing that the AS's document lacks, or has wrong.
type Lack struct {
	// Check is its name in caddy dcr check, empty for what registrations need.
	Check, What, Cure string
}

// Inspect makes an inspection of each workspace, until end. The app must be provisioned,
// and nothing of it changes. Each inspection asks servers only when it is told to.
func (a *App) Inspect(ctx context.Context) (list []*Inspection, end func(), err error) {
	var ends []func()
	end = func() {
		for _, one := range ends {
			one()
		}
	}
	for _, h := range a.workspaces {
		one, endOne, err := h.onEmptyStore(ctx, time.Time{})
		if err != nil {
			end()
			return nil, nil, err
		}
		one.hosts = h.hosts
		ends = append(ends, endOne)
		list = append(list, &Inspection{Workspace: h.Workspace, Hosts: h.hosts, Server: one.as, handler: one})
	}
	return list, end, nil
}

// onEmptyStore is a handler apart, with a store in memory that nothing is in.
func (h *Handler) onEmptyStore(ctx context.Context, at time.Time) (one *Handler, end func(), err error) {
	keyset, _, err := registry.NewKeyset()
	if err != nil {
		return nil, nil, err
	}
	store, err := registry.Open(ctx, registry.Options{Store: memory.Open(memory.Options{}), Sealer: keyset})
	if err != nil {
		return nil, nil, err
	}
	one, end, err = h.apart(store, at)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return one, end, nil
}

// Try tries the AS's discovery document, each jwks_uri and, where the AS is known, the
// gateway's own clients, each in 15 s at most. What says nothing is left out.
func (i *Inspection) Try(ctx context.Context) (trials []Trial) {
	probes, more := i.handler.probes()
	for _, list := range []func() []*probe{func() []*probe { return probes }, func() []*probe { return more(ctx) }} {
		for _, one := range list() {
			err := one.safely(ctx)
			if errors.Is(err, errUndecided) {
				continue
			}
			t := Trial{Kind: one.name, URL: one.url, Err: err}
			for _, of := range one.subject {
				t.Of = of.(slog.Attr).Value.String()
			}
			if err != nil {
				t.Cure = one.cure(err)
				t.Lacks = i.lacks(err)
			}
			trials = append(trials, t)
		}
	}
	if i.Metadata == nil {
		if m, err := i.Server.Metadata(ctx); err == nil {
			i.Metadata = m
		}
	}
	return trials
}

// lacks are those of an AS's document.
func (i *Inspection) lacks(err error) (all []Lack) {
	var unfit *authserver.UnfitError
	if !errors.As(err, &unfit) {
		return nil
	}
	i.Metadata = unfit.Metadata
	for _, one := range unfit.Lacks {
		l := Lack{What: one.Error(), Cure: cureOf(one, "authorization_server")}
		if fits := new(misfit); errors.As(one, &fits) {
			l.Check = fits.check
		}
		all = append(all, l)
	}
	return all
}

// RevocationLists are the states of the workspace's lists, once each was fetched or some
// seconds have passed.
func (i *Inspection) RevocationLists(ctx context.Context) []crl.State {
	if i.handler.crls == nil {
		return nil
	}
	i.handler.crls.Ready(ctx)
	return i.handler.crls.States()
}
