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
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Result is one case of one policy.
type Result struct {
	// Case is empty for a policy that could not be asked: it cannot be loaded, or has no
	// cases.
	Policy, Case string
	Decision     verify.Decision
	// Err is why it failed; nil when the policy decided as wanted.
	Err error
}

// Run runs all cases below a folder. A folder without any is an error. What is wrong
// with one policy is in the results, and the others are asked.
func Run(ctx context.Context, folder string) (results []Result, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isPolicy(path) {
			return err
		}
		results = append(results, run(ctx, path)...)
		return nil
	})
	if err == nil && len(results) == 0 {
		err = fmt.Errorf("%s: no policy and no cases there", folder)
	}
	return results, err
}

// run holds one policy to its cases.
func run(ctx context.Context, path string) (results []Result) {
	p, unload, err := Load(ctx, path)
	if err != nil {
		return []Result{{Policy: path, Err: err}}
	}
	defer unload()
	beside := filepath.Join(filepath.Dir(path), "cases")
	cases, err := filepath.Glob(filepath.Join(beside, "*.json"))
	if err != nil || len(cases) == 0 {
		return []Result{{Policy: path, Err: errors.Join(err, fmt.Errorf("no cases: put them into %s, as files that end in .json", beside))}}
	}
	for _, file := range cases {
		r := Result{Policy: path, Case: file}
		r.Decision, r.Err = decide(ctx, p, file)
		results = append(results, r)
	}
	return results
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
