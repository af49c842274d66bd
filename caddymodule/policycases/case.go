package policycases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Case is one file of cases.
type Case struct {
	// Base is a file with an input, relative to the case. Default: an empty input.
	Base string `json:"base"`
	// Change is merged into it; null takes a member away.
	Change json.RawMessage `json:"change"`
	// Want is what the policy must decide.
	Want Want `json:"want"`
}

// readCase reads a file of cases, and the input that it makes.
func readCase(file string) (*Case, *verify.PolicyInput, error) {
	d, err := open(file, "a case", reflect.TypeFor[Case]())
	if err != nil {
		return nil, nil, err
	}
	c := new(Case)
	if err := json.Unmarshal(d.text, c); err != nil {
		return nil, nil, d.fault(0, "%v", err)
	}
	if err := c.complete(d); err != nil {
		return nil, nil, err
	}
	in, err := c.input(d)
	return c, in, err
}

// complete refuses a case that would test nothing, or not what its author believes.
func (c *Case) complete(d *document) error {
	if c.Base == "" && c.Change == nil {
		return d.fault(d.at[""], `neither base nor change: name a file with an input as base, or write "change": {} for an empty input`)
	}
	has := func(name string) bool { _, ok := d.at["want."+name]; return ok }
	if !slices.ContainsFunc(wants, has) {
		return d.fault(d.at["want"], `want says nothing: write what the policy must decide, like "want": {"allowed": false}`)
	}
	for _, of := range []struct {
		names   []string
		allowed bool
	}{{ofDenials, false}, {ofAllowed, true}} {
		for _, name := range of.names {
			if has(name) && c.Want.Allowed != of.allowed {
				return d.fault(d.at["want."+name], `want.%s is compared with "allowed": %t alone: write that, or take it away`, name, of.allowed)
			}
		}
	}
	return nil
}

// The members of want, and those that nothing is compared with if the decision is another.
var (
	ofDenials = []string{"code", "text", "reason"}
	ofAllowed = []string{"approval", "scopes", "grant_types"}
	wants     = slices.Concat([]string{"allowed", "fault"}, ofDenials, ofAllowed)
)

func (c *Case) input(d *document) (*verify.PolicyInput, error) {
	whole := any(map[string]any{})
	if c.Base != "" {
		base, err := open(filepath.Join(filepath.Dir(d.file), c.Base), "an input", inputType)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, d.fault(d.at["base"], "base names %s, and there is no %s: base is relative to the case's own file", c.Base, filepath.Join(filepath.Dir(d.file), c.Base))
		case err != nil:
			return nil, err
		}
		if err := numbers(base.text, &whole); err != nil {
			return nil, err
		}
	}
	if c.Change != nil {
		var change any
		if err := numbers(c.Change, &change); err != nil {
			return nil, err
		}
		whole = merge(whole, change)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	in := new(verify.PolicyInput)
	if err := json.Unmarshal(text, in); err != nil { // of claims that are too many, or too deep
		return nil, fmt.Errorf("%s: the input: %w", d.file, err)
	}
	return in, nil
}

// merge is RFC 7396 2.
func merge(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range change {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}

// numbers keeps the digits of numbers.
func numbers(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(to)
}
