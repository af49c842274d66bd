package policycases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"

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
	in, err := c.input(d)
	return c, in, err
}

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
