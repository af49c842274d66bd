// Package selftest runs an operator's own configuration on this machine's loopback, beside a
// throw-away store, directory and authorization server (AS), and tries on it what must
// succeed and what must be refused. Nothing that the configuration names is connected to.
package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// Options are what is run, and how.
type Options struct {
	// Config is the file, Adapter what reads it. Default: as caddy run has them.
	Config, Adapter string
	// Workspace is the one that is tried. Default: all of them, one after the other.
	Workspace string
	// Claims are those of the software statements, in place of the usual ones. Default: none.
	Claims map[string]any
	// Progress is told of what is tried next. Default: nobody is told.
	Progress func(what string)
}

// ErrNoConfig and ErrNoDirective are returned where there is nothing to run.
var (
	ErrNoConfig    = errors.New("there is no configuration: give it with --config, or run this in the folder of the Caddyfile")
	ErrNoDirective = errors.New("no site of the configuration has the directive openbanking_dcr")
)

// ErrInside is a fault of a run itself, or of this machine: not of the command line.
var ErrInside = errors.New("the selftest could not be carried out")

// UnknownWorkspaceError is a workspace that the configuration does not have.
type UnknownWorkspaceError struct{ Name string }

func (e *UnknownWorkspaceError) Error() string {
	return fmt.Sprintf("the configuration has no workspace %q", e.Name)
}

// LoadError is a configuration with which Caddy does not start.
type LoadError struct{ Err error }

func (e *LoadError) Error() string {
	return "the configuration does not load: " + e.Err.Error() + "; caddy dcr check says more"
}

// Unwrap gives Caddy's error.
func (e *LoadError) Unwrap() error { return e.Err }

// Row is one request, or one step of the story, and what came of it.
type Row struct {
	Workspace string `json:"workspace"`
	// Kind is story or hostile.
	Kind string `json:"kind"`
	// Name is what was tried, and Clause the rule that decides, or the clause of its
	// specification.
	Name   string `json:"name"`
	Clause string `json:"clause"`
	// Expected and Got are a status with an error code, or words.
	Expected string `json:"expected"`
	Got      string `json:"got"`
	OK       bool   `json:"ok"`
	// Details say more of a row that is not ok: what the TPP was told, what the log says, and
	// what came to the AS by which handler.
	Details []string `json:"details,omitempty"`
}

// LeftOut is what was not tried.
type LeftOut struct {
	Workspace string `json:"workspace"`
	Name      string `json:"name"`
	Reason    string `json:"reason"`
}

// Report is what came of a run.
type Report struct {
	Rows []Row `json:"rows"`
	// LeftOut are the rows that the configuration switches off. They count as nothing.
	LeftOut []LeftOut `json:"left_out"`
	// Replaced are the parts of the configuration that the run did not use, and Unproven what
	// it therefore cannot show.
	Replaced []Replaced `json:"replaced"`
	Unproven []string   `json:"unproven"`
}

// Failed is the number of rows that are not as they must be.
func (r *Report) Failed() (n int) {
	for _, row := range r.Rows {
		if !row.OK {
			n++
		}
	}
	return n
}

// unproven is what no run can show, because it stays apart from the bank's servers.
var unproven = []string{
	"whether the site's trust_pool has the right CAs: a throw-away CA takes their place",
	"whether the directories' keys are reached and right, through a proxy too: a throw-away directory takes their place",
	"how clients authenticate at the real authorization server where token_endpoint_auth is auto: its discovery document decides",
	"whether the real authorization server does what the built-in one does, and accepts the gateway's credentials: caddy dcr check --live asks it",
	"what is not on this machine: load balancers, firewalls, DNS, and whoever reaches the authorization server without this gateway",
}

// Run runs a configuration and tries it, until ctx ends. It uses Caddy's global state, so
// that no other configuration may run in this process. When it returns, nothing of it is
// left: no connection, and no file.
//
// Errors: ErrNoConfig, ErrNoDirective, *UnknownWorkspaceError, *LoadError, *NotKnownError,
// ErrInside, that of ctx, and that of a file that cannot be read.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if o.Config != "" && o.Config != "-" {
		if _, err := os.Stat(o.Config); err != nil {
			return nil, err
		}
	}
	text, _, _, err := caddycmd.LoadConfig(o.Config, o.Adapter)
	switch {
	case err != nil:
		return nil, &LoadError{err}
	case text == nil:
		return nil, ErrNoConfig
	}
	folder, err := os.MkdirTemp("", "caddy-dcr-selftest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	r := &rewriting{folder: folder, claims: o.Claims, stubs: map[string]*stub{}}
	if err := json.Unmarshal(text, &r.tree); err != nil {
		return nil, &LoadError{err}
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInside, err)
	}
	if err := r.rewrite(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r.play(ctx, o)
}

// play starts the rewritten configuration, and tries its workspaces.
func (r *rewriting) play(ctx context.Context, o Options) (_ *Report, err error) {
	var chosen []*workspace
	for _, w := range r.workspaces {
		if o.Workspace == "" || o.Workspace == w.Workspace {
			chosen = append(chosen, w)
		}
	}
	if len(chosen) == 0 {
		return nil, &UnknownWorkspaceError{o.Workspace}
	}
	config, err := r.json()
	if err != nil {
		return nil, err
	}
	if err := os.Unsetenv("NOTIFY_SOCKET"); err != nil { // nobody is to believe that Caddy reloads
		return nil, err
	}
	defer func() { err = errors.Join(err, caddy.Stop()) }()
	if err := caddy.Load(config, true); err != nil {
		return nil, &LoadError{err}
	}
	report := &Report{LeftOut: []LeftOut{}, Replaced: r.replaced, Unproven: unproven}
	for _, w := range chosen {
		p := newPlay(w, report)
		if p.tell = o.Progress; p.tell == nil {
			p.tell = func(string) {}
		}
		err := p.run(ctx)
		p.clients.close()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("%w: workspace %s: %w", ErrInside, w.Workspace, err)
		}
	}
	return report, nil
}

// open makes the CA, the directories' server, and the sink.
func (r *rewriting) open() (err error) {
	if r.ca, err = newAuthority("Selftest CA"); err != nil {
		return err
	}
	if r.keys, err = newKeyServer(r.ca); err != nil {
		return err
	}
	if r.sink, err = newStub(r.ca); err != nil {
		return err
	}
	revoked, err := r.ca.client([]attribute{{country, "GB"}, {organization, "Selftest Ltd"}, {commonName, "revoked"}}, nil)
	if err != nil {
		return err
	}
	r.revokedCertificate = revoked
	r.revoked, err = r.ca.revocationList(revoked.Leaf)
	return err
}

// close ends all servers, and lets the ports go.
func (r *rewriting) close() (err error) {
	if r.keys != nil {
		err = errors.Join(err, r.keys.close())
	}
	if r.sink != nil {
		err = errors.Join(err, r.sink.close())
	}
	for _, s := range r.stubs {
		err = errors.Join(err, s.close())
	}
	for _, port := range r.held {
		err = errors.Join(err, port.Close())
	}
	r.held = nil
	return err
}
