package policycases

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

const namespace = "http.openbanking_dcr.policies"

// known are the languages that there are beside those that a build brings, and what to
// build Caddy with for them.
var known = map[string]string{
	"cel":  "github.com/caddy-dcr/caddy-dcr",
	"rego": "github.com/caddy-dcr/caddy-dcr/caddymodule/rego",
}

// language is a file's ending.
func language(path string) string { return strings.TrimPrefix(filepath.Ext(path), ".") }

// isPolicy tells whether a file's ending is a policy language of this build.
func isPolicy(path string) bool {
	_, err := caddy.GetModule(namespace + "." + language(path))
	return language(path) != "" && err == nil
}

// isForeign tells whether it is one that this build does not have.
func isForeign(path string) bool { return known[language(path)] != "" && !isPolicy(path) }

// notInBuild says so, and how to mend it.
func notInBuild(path string) string {
	l := language(path)
	return l + " is not in this build; build Caddy with --with " + known[l]
}

// endings are those of all policies: ".cel or .rego".
func endings() string {
	all := []string{}
	for l := range known {
		all = append(all, "."+l)
	}
	for _, m := range caddy.GetModules(namespace) {
		if known[m.ID.Name()] == "" {
			all = append(all, "."+m.ID.Name())
		}
	}
	slices.Sort(all)
	return strings.Join(all, " or ")
}

// Load reads a policy's file. unload ends it.
func Load(ctx context.Context, path string) (p verify.Policy, unload func(), err error) {
	switch {
	case isForeign(path):
		return nil, nil, fmt.Errorf("%s: %s", path, notInBuild(path))
	case !isPolicy(path):
		return nil, nil, fmt.Errorf("%s: is no policy: those end in %s", path, endings())
	}
	config, err := json.Marshal(map[string]string{"file": path})
	if err != nil {
		return nil, nil, err
	}
	of, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	module, err := of.LoadModuleByID(namespace+"."+language(path), config)
	if err == nil {
		var ok bool
		if p, ok = module.(verify.Policy); ok {
			return p, cancel, nil
		}
		err = fmt.Errorf("%T is no policy", module)
	}
	cancel()
	return nil, nil, err
}
