package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What a client was trusted for when it registered, and whether anybody uses it, is looked at
// again once a day, client by client, in the background: a pass. It may take hours, and goes on
// after a reload or a restart.

// TrustChecker looks again at what clients are trusted for. wait returns when the next fetch
// may be made: at most one a second is.
type TrustChecker interface {
	// CheckDirectories looks at the directories of the workspace. keys is how many keys each
	// had in the pass before, by issuer, and those of now are returned.
	CheckDirectories(ctx context.Context, keys map[string]int, wait func(context.Context) error) ([]DirectoryFinding, map[string]int)
	// CheckClient looks at one client. Those of one software come one after the other.
	CheckClient(ctx context.Context, c *Client, registered *verify.PolicyCertificate, wait func(context.Context) error) TrustResult
}

// TrustResult is what CheckClient has found.
type TrustResult struct {
	// Findings are those that hold, without their times.
	Findings []Finding
	// Unknown are the kinds of which nothing is known now: what was found before stays.
	Unknown []string
	// Directory is what is wrong with the directory, or with what it publishes about the
	// software; nil for nothing. It says nothing about the client.
	Directory *DirectoryFinding
}

// The kinds of DirectoryFinding.
const (
	// KeysUnreachable: the keys of the directory cannot be fetched, KeysEmpty: it publishes
	// none, KeysShrunk: fewer than half of those that it had in the pass before.
	KeysUnreachable = "keys_unreachable"
	KeysEmpty       = "keys_empty"
	KeysShrunk      = "keys_shrunk"
	// SoftwareKeysUnreadable: a software's JWKS, or its list of revoked keys, is empty or
	// cannot be fetched.
	SoftwareKeysUnreadable = "software_keys_unreadable"
)

// DirectoryFindingKinds are all of them.
var DirectoryFindingKinds = []string{KeysUnreachable, KeysEmpty, KeysShrunk, SoftwareKeysUnreadable}

// DirectoryFinding is something that is wrong with a directory, never with its clients.
type DirectoryFinding struct {
	// Directory is the issuer of its software statements, Kind one of those above.
	Directory string `json:"directory"`
	Kind      string `json:"kind"`
	// Detail is what was found, of several the first.
	Detail string `json:"detail"`
	// Count is how many software are concerned, 0 for the directory itself.
	Count int `json:"count,omitempty"`
	// Since is seconds since 1970.
	Since int64 `json:"since"`
}

// Retire is what becomes of clients that nobody uses.
type Retire struct {
	// Days is after how many days without a use. 0: nothing becomes of them.
	Days int
	// Suspend has the gateway suspend them. Default: it reports them.
	Suspend bool
}

// TrustPass is how far the pass over the clients of a workspace is.
type TrustPass struct {
	Schema    int    `json:"v"`
	Workspace string `json:"workspace"`
	// Started and Ended are of the pass under way, or of the last one, seconds since 1970.
	// Ended is 0 while it is under way; Started is 0 where there was none.
	Started int64 `json:"started"`
	Ended   int64 `json:"ended"`
	// Completed is when the last one that ended did, seconds since 1970; 0 for none.
	Completed int64 `json:"completed"`
	// Looked is how many clients it has looked at.
	Looked int `json:"looked"`
	// Counting is how many findings of each kind the pass under way has come to, Counts those
	// of the last one that ended.
	Counting map[string]int `json:"counting"`
	Counts   map[string]int `json:"counts"`
	// Directories are the findings about directories, of the pass under way or the last one.
	Directories []DirectoryFinding `json:"directories"`
	// Keys are how many keys each directory had, After is the last client that was looked at,
	// Due when the next pass is due, seconds since 1970.
	Keys  map[string]int `json:"keys"`
	After string         `json:"after,omitempty"`
	Due   int64          `json:"due"`
	// before are the directory findings of the pass before.
	Before []DirectoryFinding `json:"before,omitempty"`
}

// ErrPassRunning is BeginPass's while a pass is under way.
var ErrPassRunning = errors.New("a pass over the clients of this workspace is under way already")

// ErrNoPass is BeginPass's where nothing is looked at again.
var ErrNoPass = errors.New("nothing looks again at the clients of this workspace")

const (
	passEvery = 24 * time.Hour
	// firstPass is how long after a store is first seen by a version that makes passes.
	firstPass = time.Hour
	// passPage is how many clients are looked at before the pass is stored.
	passPage = 50
	// maxDirectoryFindings bounds the record.
	maxDirectoryFindings = 64
)

func passKey(workspace string) string { return key("pass", workspace) }

// UnderWay tells whether it has not ended.
func (p *TrustPass) UnderWay() bool { return p.Started != 0 && p.Ended == 0 }

// looks tells whether anything is looked at again.
func (ws *Workspace) looks() bool { return ws.Trust != nil || ws.Retire.Days > 0 }

func readPass(r getter, workspace string) (*TrustPass, error) {
	p := &TrustPass{Workspace: workspace}
	if err := readOwn(r, passKey(workspace), p, &p.Schema); err != nil {
		return nil, err
	}
	p.Schema = schema
	return p, nil
}

func (r *Registry) loadPass(ctx context.Context, workspace string) (p *TrustPass, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		p, err = readPass(v, workspace)
		return err
	})
	return p, err
}

// putPass stores how far it is. The record is the store's from then on.
func (r *Registry) putPass(ctx context.Context, p *TrustPass) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	err = r.store.Update(ctx, func(w Writer) error { return w.Put(passKey(p.Workspace), data) })
	if err == nil {
		shown := new(TrustPass)
		if err = json.Unmarshal(data, shown); err == nil {
			r.passes.Store(p.Workspace, shown)
		}
	}
	return err
}

// Passes are those of the workspaces that are looked at again, in the order given. They are
// not to be changed.
func (r *Registry) Passes(ctx context.Context, workspaces []string) (list []*TrustPass, err error) {
	for _, name := range workspaces {
		if ws, ok := r.attached(name); !ok || !ws.looks() {
			continue
		}
		known, ok := r.passes.Load(name)
		if !ok {
			stored, err := r.loadPass(ctx, name)
			if err != nil {
				return nil, err
			}
			known, _ = r.passes.LoadOrStore(name, stored) // the pass itself may have come further meanwhile
		}
		list = append(list, known.(*TrustPass))
	}
	return list, nil
}

// BeginPass has a pass over the clients of a workspace begin soon, without waiting for it. The
// answer is how it stands before: it has begun when Due is later. The log has who wants it, and
// why.
//
// Errors: ErrNotFound for a workspace that is not configured; ErrPassRunning, ErrNoPass.
func (r *Registry) BeginPass(ctx context.Context, workspace string, act Act) (p *TrustPass, err error) {
	ws, ok := r.attached(workspace)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: workspace %q", ErrNotFound, workspace)
	case !ws.looks():
		return nil, ErrNoPass
	}
	err = r.store.Update(ctx, func(w Writer) (err error) {
		if p, err = readPass(w, workspace); err == nil && p.UnderWay() {
			err = ErrPassRunning
		}
		if err != nil {
			return err
		}
		p.Due = r.now().Unix()
		return putRecord(w, passKey(workspace), p)
	})
	if err != nil {
		return nil, err
	}
	r.passes.Delete(workspace)
	r.log.Info("looks again at what clients are trusted for, as an operator requested", slog.String("workspace", workspace), slog.String("operator", act.Operator.Name), slog.String("reason", act.Reason))
	select {
	case r.lookNow <- struct{}{}:
	default: // a signal is waiting already
	}
	return p, nil
}
