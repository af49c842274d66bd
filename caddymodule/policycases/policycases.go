// Package policycases runs the tests of registration policies: files that say what a
// policy must decide for an input.
//
// A policy is a file whose ending is its language: policy.cel. Its cases are the files
// *.json in the folder cases beside it:
//
//	{
//	    "base": "../../input.json",
//	    "change": {"ssa": {"org_status": "Withdrawn"}},
//	    "want": {"allowed": false, "text": "organisation is not active; ask the directory"}
//	}
//
// The input is base, a file of the same form as a policy's input, with change merged
// into it (RFC 7396). Every policy of the folder is held to every case.
package policycases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

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

// Want is a decision. What is left out is not looked at, except Allowed.
type Want struct {
	Allowed bool `json:"allowed"`
	// Code and Text are what the TPP is told.
	Code string `json:"code"`
	Text string `json:"text"`
	// Reason is a part of what the operator reads.
	Reason string `json:"reason"`
	// Fault: the policy cannot decide this input.
	Fault bool `json:"fault"`
	// Scopes and GrantTypes are what is left of the registration.
	Scopes     []string `json:"scopes"`
	GrantTypes []string `json:"grant_types"`
}

// Result is one case of one policy.
type Result struct {
	Policy, Case string
	Decision     verify.Decision
	// Err is why it failed; nil when the policy decided as wanted.
	Err error
}

// Run runs all cases below a folder. A folder without any is an error, and so is a
// policy without cases.
func Run(ctx context.Context, folder string) (results []Result, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isPolicy(path) {
			return err
		}
		p, unload, err := Load(ctx, path)
		if err != nil {
			return err
		}
		defer unload()
		cases, err := filepath.Glob(filepath.Join(filepath.Dir(path), "cases", "*.json"))
		if err != nil || len(cases) == 0 {
			return errors.Join(err, fmt.Errorf("%s has no cases: put them into %s", path, filepath.Join(filepath.Dir(path), "cases")))
		}
		for _, file := range cases {
			r := Result{Policy: path, Case: file}
			if r.Decision, err = decide(ctx, p, file); err != nil {
				r.Err = err
			}
			results = append(results, r)
		}
		return nil
	})
	if err == nil && len(results) == 0 {
		err = fmt.Errorf("%s: no policy and no cases there", folder)
	}
	return results, err
}

const namespace = "http.openbanking_dcr.policies."

// isPolicy tells whether a file's ending is a policy language of this build.
func isPolicy(path string) bool {
	language := strings.TrimPrefix(filepath.Ext(path), ".")
	_, err := caddy.GetModule(namespace + language)
	return language != "" && err == nil
}

// Load reads a policy's file. unload ends it.
func Load(ctx context.Context, path string) (p verify.Policy, unload func(), err error) {
	if !isPolicy(path) {
		return nil, nil, fmt.Errorf("%s: no policy language of this build ends so", path)
	}
	info, err := caddy.GetModule(namespace + strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil {
		return nil, nil, err
	}
	config, err := json.Marshal(map[string]string{"file": path})
	if err != nil {
		return nil, nil, err
	}
	of, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	module, err := of.LoadModuleByID(string(info.ID), config)
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

// within is what a case may take: more than in service, for slow machines.
const within = 10 * time.Second

func decide(ctx context.Context, p verify.Policy, file string) (d verify.Decision, err error) {
	var c Case
	if err := readStrictly(file, &c); err != nil {
		return d, err
	}
	in, err := c.input(file)
	if err != nil {
		return d, err
	}
	d = verify.Evaluate(ctx, p, in, within)
	return d, c.Want.holds(d, in)
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

func (w *Want) holds(d verify.Decision, in *verify.PolicyInput) error {
	var faults []string
	differs := func(what string, got, want any) {
		faults = append(faults, fmt.Sprintf("%s is %v, not %v", what, got, want))
	}
	if d.Allowed != w.Allowed {
		differs("allowed", d.Allowed, w.Allowed)
	}
	if fault := d.Fault != nil; fault != w.Fault {
		differs("fault", fault, w.Fault)
	}
	if !strings.Contains(d.Reason, w.Reason) {
		differs("reason", d.Reason, w.Reason)
	}
	if err := d.Error("", ""); err != nil {
		if w.Code != "" && err.Code() != w.Code {
			differs("code", err.Code(), w.Code)
		}
		if w.Text != "" && d.Text != w.Text {
			differs("text", d.Text, w.Text)
		}
	}
	if d.Allowed && in.Registration != nil {
		in.Registration.Narrow(d)
		if left := strings.Fields(in.Registration.Scope); w.Scopes != nil && !slices.Equal(left, w.Scopes) {
			differs("scopes", left, w.Scopes)
		}
		if left := in.Registration.GrantTypes; w.GrantTypes != nil && !slices.Equal(left, w.GrantTypes) {
			differs("grant_types", left, w.GrantTypes)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	if d.Reason != "" {
		faults = append(faults, "the reason: "+d.Reason)
	}
	return errors.New(strings.Join(faults, "; "))
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
