package policycases

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
)

// folder is what stands in one folder.
type folder struct {
	// policies are in a language of this build, foreign ones in another that there is.
	policies, foreign []string
	// cases are the files of the folder of cases.
	cases []string
	// faults are about what nothing reads, though its author may believe so.
	faults []error
}

// casesIn is the folder of the cases of a folder's policies.
func casesIn(path string) string { return filepath.Join(path, "cases") }

// look finds a folder's policies and cases.
func look(path string) (f folder, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return f, err
	}
	var others []string
	hasCases := false
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		switch {
		case isFolder(file, e):
			hasCases = hasCases || file == casesIn(path)
		case policylanguage.InBuild(policylanguage.Of(file)):
			f.policies = append(f.policies, file)
		case policylanguage.Foreign(policylanguage.Of(file)):
			f.foreign = append(f.foreign, file)
		case !mayStay(e.Name(), ".md", ".json"):
			others = append(others, file)
		}
	}
	if !hasCases {
		return f, nil
	}
	for _, file := range others {
		f.faults = append(f.faults, fmt.Errorf("%s: nothing reads it: policies end in %s, and beside them and their cases only *.json and *.md may stand", file, policylanguage.Endings()))
	}
	if err := f.lookForCases(casesIn(path)); err != nil {
		return f, err
	}
	if len(f.policies)+len(f.foreign) == 0 {
		f.faults = append(f.faults, fmt.Errorf("%s: no policy beside it: put one there, a file that ends in %s", casesIn(path), policylanguage.Endings()))
	}
	return f, nil
}

func (f *folder) lookForCases(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		switch {
		case isFolder(file, e):
			if !hidden(e.Name()) {
				f.faults = append(f.faults, fmt.Errorf("%s: nothing reads it: cases are files directly in %s", file, path))
			}
		case mayStay(e.Name(), ".md"):
		case filepath.Ext(file) == ".json":
			f.cases = append(f.cases, file)
		default:
			f.faults = append(f.faults, fmt.Errorf("%s: nothing reads it: cases end in .json, and beside them only *.md may stand", file))
		}
	}
	return nil
}

// isFolder follows links.
func isFolder(path string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// mayStay tells whether nobody takes a file for a policy or a case.
func mayStay(name string, but ...string) bool {
	for _, ending := range but {
		if strings.EqualFold(filepath.Ext(name), ending) {
			return true
		}
	}
	return hidden(name)
}
