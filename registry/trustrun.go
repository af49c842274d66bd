package registry

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// passing is a pass at work.
type passing struct {
	*TrustPass
	r  *Registry
	ws Workspace
	// told is how many lines the log has about its findings; limited that the limit of
	// suspensions is logged.
	told    int
	limited bool
}

// maxTold is how many findings one pass logs a line about, until the next restart.
const maxTold = 100

// errPassStops is a pass that goes on later: its workspace is not configured now.
var errPassStops = errors.New("registry: the workspace is not configured now")

// runPasses makes the passes that are due, one workspace after the other.
func (r *Registry) runPasses(ctx context.Context) {
	names := r.attachedNames()
	slices.Sort(names)
	for _, name := range names {
		ws, ok := r.attached(name)
		if !ok || !ws.looks() {
			continue
		}
		if err := r.passIfDue(ctx, ws); err != nil && ctx.Err() == nil && !errors.Is(err, errPassStops) {
			r.log.Error("cannot look again at what clients are trusted for; goes on in an hour", slog.String("workspace", name), slog.Any("error", err))
		}
	}
}

func (r *Registry) passIfDue(ctx context.Context, ws Workspace) error {
	p, err := r.loadPass(ctx, ws.Name)
	if err != nil {
		return err
	}
	now := r.now()
	if p.Due == 0 {
		p.Due = now.Add(firstPass).Unix()
		return r.putPass(ctx, p)
	}
	// A clock that was ahead must not put passes off for years.
	if !p.UnderWay() && now.Unix() < p.Due && p.Due-now.Unix() <= int64(passEvery/time.Second) {
		return nil
	}
	run := &passing{TrustPass: p, r: r, ws: ws}
	if !p.UnderWay() {
		if err := run.begin(ctx, now); err != nil {
			return err
		}
	}
	for more := true; more; {
		if more, err = run.page(ctx); err == nil {
			err = r.keepUseDays(ctx) // a pass may take days
		}
		if err != nil {
			return err
		}
	}
	return run.end(ctx)
}

// begin looks at the directories.
func (p *passing) begin(ctx context.Context, now time.Time) error {
	p.Started, p.Ended, p.Looked, p.After, p.Counting = now.Unix(), 0, 0, "", map[string]int{}
	p.Due = now.Add(passEvery).Unix()
	p.Before, p.Directories = p.Directories, nil
	if p.ws.Trust != nil {
		found, keys := p.ws.Trust.CheckDirectories(ctx, p.Keys, p.r.waitForFetch)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.Keys = keys
		for _, f := range found {
			p.foundDirectory(f)
		}
	}
	return p.r.putPass(ctx, p.TrustPass)
}

// foundDirectory adds a finding about a directory, or about one software more of it.
func (p *passing) foundDirectory(f DirectoryFinding) {
	same := func(other DirectoryFinding) bool { return other.Directory == f.Directory && other.Kind == f.Kind }
	if i := slices.IndexFunc(p.Directories, same); i >= 0 {
		p.Directories[i].Count += f.Count
		return
	}
	if len(p.Directories) >= maxDirectoryFindings {
		return
	}
	f.Detail, f.Since = cut(f.Detail), p.r.now().Unix()
	if i := slices.IndexFunc(p.Before, same); i >= 0 {
		f.Since = p.Before[i].Since
	} else {
		p.r.log.Warn("found a directory whose keys cannot be used for looking again at clients; says nothing about its clients",
			slog.String("workspace", p.ws.Name), slog.String("directory", f.Directory), slog.String("kind", f.Kind), slog.String("reason", f.Detail))
	}
	p.Directories = append(p.Directories, f)
}

func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxDetail)], "") }

// page looks at the next clients, in the order of their software. more: there may be others.
func (p *passing) page(ctx context.Context) (more bool, err error) {
	ws, ok := p.r.attached(p.ws.Name)
	if !ok || !ws.looks() {
		return false, errPassStops
	}
	p.ws = ws // of a reload meanwhile
	prefix := key("index", string(BySoftware), ws.Name) + "/"
	var keys []string
	err = p.r.store.View(ctx, func(v Reader) (err error) {
		keys, err = v.Keys(prefix, p.After, passPage)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		if err := p.examine(ctx, k[strings.LastIndexByte(k, '/')+1:]); err != nil {
			return false, err
		}
		p.After = k
	}
	return len(keys) == passPage, p.r.putPass(ctx, p.TrustPass)
}

func (p *passing) end(ctx context.Context) error {
	p.Ended, p.After, p.Counts, p.Counting, p.Before = p.r.now().Unix(), "", p.Counting, nil, nil
	p.Completed = p.Ended
	if err := p.r.putPass(ctx, p.TrustPass); err != nil {
		return err
	}
	fields := []any{slog.String("workspace", p.ws.Name), slog.Int("clients", p.Looked)}
	for _, kind := range FindingKinds {
		if n := p.Counts[kind]; n > 0 {
			fields = append(fields, slog.Int(kind, n))
		}
	}
	p.r.log.Info("has looked again at what clients are trusted for", fields...)
	return nil
}

// fetchEvery is the pause between two fetches of passes, of all workspaces.
const fetchEvery = time.Second

// waitForFetch returns when the next fetch may be made. Only passes call it, one at a time.
func (r *Registry) waitForFetch(ctx context.Context) error {
	if !pause(ctx, fetchEvery) {
		return ctx.Err()
	}
	return nil
}
