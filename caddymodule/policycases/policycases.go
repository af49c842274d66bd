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
// into it (RFC 7396). Every policy of the folder runs every case.
//
// Beside them only *.json and *.md may stand, and hidden files: anything else might be a
// policy or a case with a slip in its name, which would test nothing.
package policycases

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
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

// Report is what came of the policies below a folder.
type Report struct {
	// Results are of each case of each policy.
	Results []Result
	// Faults are about files and folders that have not been tested, though they look as
	// if they should be.
	Faults []error
	// Untested is how many policies are in a language that this build does not have.
	Untested map[string]int
}

// Run runs all cases below a folder. What is wrong with one policy or case is in the
// report, and the others are tested. A folder without any policy is an error. Hidden
// folders are left out, and links to folders are not followed, except cases.
func Run(ctx context.Context, folder string) (*Report, error) {
	r := &Report{Untested: map[string]int{}}
	info, err := os.Lstat(folder)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return r, err
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == folder && !entry.IsDir():
			return fmt.Errorf("%s is no folder: give the one that it is in", path)
		case !entry.IsDir():
			return nil
		case path != folder && (hidden(entry.Name()) || entry.Name() == "cases"):
			return fs.SkipDir
		}
		return r.test(ctx, path)
	})
	if err == nil && len(r.Results)+len(r.Faults) == 0 {
		err = fmt.Errorf("%s: no policy there: a policy is a file that ends in %s, and its cases are in the folder cases beside it", folder, policylanguage.Endings())
	}
	return r, err
}

// test tests the policies of one folder.
func (r *Report) test(ctx context.Context, path string) error {
	f, err := look(path)
	if err != nil {
		return err
	}
	for _, policy := range f.policies {
		r.Results = append(r.Results, run(ctx, policy, f.cases)...)
	}
	for _, policy := range f.foreign {
		language := policylanguage.Of(policy)
		r.Untested[language]++
		if len(f.policies) == 0 {
			r.Faults = append(r.Faults, fmt.Errorf("%s: not tested, and no other policy of its folder is: %w", policy, policylanguage.Missing(language)))
		}
	}
	r.Faults = append(r.Faults, f.faults...)
	return nil
}

// run holds one policy to its cases.
func run(ctx context.Context, path string, cases []string) (results []Result) {
	p, unload, err := policylanguage.Load(ctx, path)
	if err != nil {
		return []Result{{Policy: path, Err: err}}
	}
	defer unload()
	if len(cases) == 0 {
		return []Result{{Policy: path, Err: fmt.Errorf("no cases: put them into %s, as files that end in .json", casesIn(filepath.Dir(path)))}}
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
	c, in, err := readCase(file)
	if err != nil {
		return d, err
	}
	d = verify.Evaluate(ctx, p, in, within)
	return d, c.Want.holds(d, in)
}
