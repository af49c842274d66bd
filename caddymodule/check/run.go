package check

import (
	"context"
	"errors"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// Options are what is checked, and how.
type Options struct {
	// Config is the file, Adapter what reads it. Default: as caddy run has them.
	Config, Adapter string
	// Live asks the configured servers too. Default: nothing goes over the network.
	Live bool
	// Outside is the authorization server's address as the outside would have it, host and
	// perhaps port. It is asked with Live. Default: it is not.
	Outside string
	// StopTimeout is how long the service manager waits for a stop. Default: what the unit
	// caddy.service of systemd says, if there is one.
	StopTimeout time.Duration
	// Progress is told of what is asked next. Default: nobody is told.
	Progress func(what string)
}

// adapted is where a Caddyfile is wrong, as the adapter ends its message.
var adapted = regexp.MustCompile(`\bat (\S+:\d+)$`)

// ErrNoConfig is returned where no configuration is given or found.
var ErrNoConfig = errors.New("there is no configuration: give it with --config, or run this in the folder of the Caddyfile")

// inspection is one run of all checks.
type inspection struct {
	Options
	*configuration
	machine
	ctx     context.Context
	servers []*answers

	check    *Check
	findings []Finding
}

// machine is what is looked at beside the configuration.
type machine struct {
	now time.Time
	// units are the folders of systemd's units, temporary those that are emptied.
	units, temporary []string
	fileSystem       func(dir string) kind
	freeRoom         func(dir string) (bytes uint64, known bool)
	root             bool // who runs this
}

func thisMachine() machine {
	return machine{time.Now(), systemdFolders, append(temporaryFolders, os.TempDir()), fileSystem, freeRoom, os.Geteuid() == 0}
}

// Run makes all checks that can be made. A configuration that does not load is a finding.
//
// Errors: ErrNoConfig, that of ctx, and what concerns this machine.
func Run(ctx context.Context, o Options) (*Report, error) {
	return run(ctx, o, thisMachine())
}

func run(ctx context.Context, o Options, on machine) (*Report, error) {
	i := &inspection{ctx: ctx, Options: o, machine: on}
	report := &Report{Total: len(Checks)}
	if o.Config != "" && o.Config != "-" {
		if _, err := os.Stat(o.Config); err != nil {
			return nil, err
		}
	}
	text, _, _, err := caddycmd.LoadConfig(o.Config, o.Adapter)
	if err == nil && text == nil {
		return nil, ErrNoConfig
	}
	if err == nil {
		i.configuration, err = parse(text)
	}
	if err != nil {
		i.configuration = &configuration{failed: err}
		i.make(report, func(c *Check) string {
			if c.Name == loads {
				return ""
			}
			return "the configuration cannot be read"
		})
		return report, nil
	}
	storage, err := os.MkdirTemp("", "caddy-dcr-check")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(storage)
	if text, err = quiet(text, o.Live); err != nil {
		return nil, err
	}
	i.app, i.failed = Provision(text, storage)
	if i.app != nil && o.Live {
		end, err := i.ask()
		if err != nil {
			return nil, err
		}
		defer end()
	}
	i.make(report, i.reason)
	return report, ctx.Err()
}

// reason says why a check cannot be made, empty where it can.
func (i *inspection) reason(c *Check) string {
	switch {
	case c.Live && !i.Live:
		return "--live"
	case c.Name == asExposed && i.Outside == "":
		return "--address-outside"
	case (c.Live || c.run == nil) && i.app == nil:
		return "the configuration does not load"
	}
	return ""
}

// make makes the checks that have no reason against it.
func (i *inspection) make(report *Report, reason func(*Check) string) {
	for n := range Checks {
		i.check = &Checks[n]
		why := reason(i.check)
		if why == "" {
			report.Checked++
			if i.check.run == nil {
				i.fromDoubts()
			} else {
				i.check.run(i)
			}
			continue
		}
		at := slices.IndexFunc(report.LeftOut, func(l LeftOut) bool { return l.Reason == why })
		if at < 0 {
			at = len(report.LeftOut)
			report.LeftOut = append(report.LeftOut, LeftOut{Reason: why})
		}
		report.LeftOut[at].Count++
	}
	report.Findings = i.findings
	report.sort()
}

// found adds a finding of the check that is made.
func (i *inspection) found(f Finding) {
	f.Check, f.Severity = i.check.Name, i.check.Severity
	if w := i.workspaceAt(f.Place); w != nil && f.Workspace == "" {
		f.Workspace, f.Site = w.Workspace, strings.Join(w.hosts, " ")
		if f.Directive == "" {
			f.Directive = words(strings.TrimPrefix(f.Place, w.place))
		}
	}
	i.findings = append(i.findings, f)
}

// words are the Caddyfile's words for a place below a directive, as far as both are called
// the same: access_token, client, secret.
func words(below string) string {
	parts := slices.DeleteFunc(strings.Split(below, "/"), func(part string) bool { return strings.Trim(part, "0123456789") == "" })
	return strings.Join(parts, ", ")
}

// workspaceAt is the one in whose directive a place is, nil for none.
func (i *inspection) workspaceAt(place string) *workspace {
	for _, w := range i.workspaces {
		if strings.HasPrefix(place+"/", w.place+"/") {
			return w
		}
	}
	return nil
}

// foundIn adds a finding about a directive of a workspace. member is its place below that
// of the directive openbanking_dcr, empty for that one.
func (i *inspection) foundIn(w *workspace, directive, member, found, why, write string, details ...string) {
	i.found(Finding{
		Workspace: w.Workspace, Site: strings.Join(w.hosts, " "), Directive: directive, Place: strings.TrimSuffix(w.place+"/"+member, "/"),
		Found: found, Why: why, Write: write, Details: details,
	})
}

// in has a check look at each workspace.
func in(look func(*inspection, *workspace)) func(*inspection) {
	return func(i *inspection) {
		for _, w := range i.workspaces {
			look(i, w)
		}
	}
}

// fromDoubts are findings that loading the configuration makes by itself.
func (i *inspection) fromDoubts() {
	for _, d := range i.app.Doubts() {
		if d.Check == i.check.Name {
			i.found(i.fromDoubt(d))
		}
	}
}

func (i *inspection) fromDoubt(d caddymodule.Doubt) Finding {
	f := Finding{Workspace: d.Workspace, Place: d.Place, Found: d.What, Why: whyDoubt[d.Check], Write: d.Cure}
	for _, w := range i.workspaces {
		if w.Workspace == d.Workspace {
			f.Site = strings.Join(w.hosts, " ")
			f.Place = strings.Replace(f.Place, "openbanking_dcr "+w.Workspace, w.place, 1)
		}
	}
	if strings.HasPrefix(f.Place, "apps/openbanking_dcr/") {
		f.Directive = "openbanking_dcr, " + path.Base(f.Place)
	}
	for _, a := range d.More {
		f.Details = append(f.Details, strings.ReplaceAll(a.Key, "_", " ")+": "+a.Value.String())
	}
	return f
}

func configurationLoads(i *inspection) {
	if i.failed != nil {
		place := ""
		if m := adapted.FindStringSubmatch(i.failed.Error()); m != nil {
			place = m[1]
		}
		for _, w := range i.workspaces {
			if strings.Contains(i.failed.Error(), "openbanking_dcr "+w.Workspace+": ") {
				place = w.place
			}
		}
		i.found(Finding{Place: place, Found: i.failed.Error(), Why: "Caddy does not start with it, and a reload changes nothing.", Write: "correct what the message names; what is around the directive is explained in docs/operations.md"})
	}
}
