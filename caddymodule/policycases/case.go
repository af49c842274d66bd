package policycases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

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

func (c *Case) input(file string) (*verify.PolicyInput, error) {
	whole := any(map[string]any{})
	if c.Base != "" {
		if err := readNumbers(filepath.Join(filepath.Dir(file), c.Base), &whole); err != nil {
			return nil, err
		}
	}
	if c.Change != nil {
		var change any
		if err := numbers(c.Change, &change); err != nil {
			return nil, fmt.Errorf("%s: change: %w", file, err)
		}
		whole = merge(whole, change)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	in := new(verify.PolicyInput)
	if err := strictly(text, in); err != nil {
		return nil, fmt.Errorf("%s: input: %w", file, err)
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

func readStrictly(file string, to any) error {
	text, err := os.ReadFile(file)
	if err == nil {
		err = strictly(text, to)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// strictly refuses members that nobody reads: a misspelt one would test nothing.
func strictly(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

func readNumbers(file string, to any) error {
	text, err := os.ReadFile(file)
	if err == nil {
		err = numbers(text, to)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// numbers keeps the digits of numbers.
func numbers(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(to)
}
