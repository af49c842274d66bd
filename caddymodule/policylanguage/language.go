// Package policylanguage is which languages policies may be written in: the modules of
// one namespace, one for each.
package policylanguage

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

// Namespace is that of the modules; each is called as its language.
const Namespace = "http.openbanking_dcr.policies"

// known are the languages that there are beside those that a build brings, and what to
// build Caddy with for them.
var known = map[string]string{
	"cel":  "github.com/caddy-dcr/caddy-dcr",
	"rego": "github.com/caddy-dcr/caddy-dcr/caddymodule/rego",
}

// Of is the language of a policy's file, which is its ending.
func Of(path string) string { return strings.TrimPrefix(filepath.Ext(path), ".") }

// InBuild tells whether this build of Caddy has a language.
func InBuild(language string) bool {
	_, err := caddy.GetModule(Namespace + "." + language)
	return language != "" && err == nil
}

// Foreign tells whether there is a language that this build does not have.
func Foreign(language string) bool { return known[language] != "" && !InBuild(language) }

// Missing is why a language cannot be used, and how to mend it; nil where it can.
func Missing(language string) error {
	switch {
	case InBuild(language):
		return nil
	case Foreign(language):
		return fmt.Errorf("%s is not in this build; build Caddy with --with %s too", language, known[language])
	}
	var there []string
	for _, m := range caddy.GetModules(Namespace) {
		there = append(there, m.ID.Name())
	}
	return fmt.Errorf("%q is no language of this build; there are %s", language, strings.Join(there, ", "))
}

// Endings are those of all policies: ".cel or .rego".
func Endings() string {
	all := []string{}
	for l := range known {
		all = append(all, "."+l)
	}
	for _, m := range caddy.GetModules(Namespace) {
		if known[m.ID.Name()] == "" {
			all = append(all, "."+m.ID.Name())
		}
	}
	slices.Sort(all)
	return strings.Join(all, " or ")
}

// Load reads a policy's file. unload ends it.
func Load(ctx context.Context, path string) (p verify.Policy, unload func(), err error) {
	language := Of(path)
	switch {
	case Foreign(language):
		return nil, nil, fmt.Errorf("%s: %w", path, Missing(language))
	case !InBuild(language):
		return nil, nil, fmt.Errorf("%s: is no policy: those end in %s", path, Endings())
	}
	config, err := json.Marshal(map[string]string{"file": path})
	if err != nil {
		return nil, nil, err
	}
	of, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	module, err := of.LoadModuleByID(Namespace+"."+language, config)
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
