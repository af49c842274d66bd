package badger

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// inspection is what a directory holds, read before Badger opens it: Badger takes
// what is damaged for the end of a file and cuts the rest off.
type inspection struct {
	dir  string
	file headRead
	// head is what it says last.
	head   *head
	tables *tables
	logs   []*wal
	harm   valueHarm

	// found is the last commit up to which nothing is missing.
	found mark
	// chained tells that the store has a chain at all.
	chained bool
	// first tells that the last commit is the first one of a chain, so that HEAD may not
	// know of it.
	first bool
	// unchained tells that commits without the chain follow ones with it.
	unchained bool
	// seen is the highest sequence that anything tells of.
	seen uint64
	// cut is where the logs are cut off when the loss is accepted.
	cut *cut
	// replaced are the commits that accepted losses have given up.
	replaced []mark
}

// cut is a place in the logs: what comes after it is not applied.
type cut struct {
	log    int // index
	offset int
}

// inspect returns nil for a directory without a store. The error is a *loss, or what
// could not be read.
func inspect(dir string, now time.Time) (*inspection, error) {
	i := &inspection{dir: dir}
	var err error
	if i.file, err = readHead(dir); err != nil {
		return nil, err
	}
	i.head = i.file.newest
	paths, err := walFiles(dir)
	if err != nil {
		return nil, err
	}
	if i.tables, err = readTables(dir); errors.Is(err, os.ErrNotExist) {
		if empty, listErr := hasNoStore(dir, i.file); listErr != nil || empty {
			return nil, listErr
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w; %s", ErrLoss, err, restoreIt)
	}
	for _, path := range paths {
		w, err := readWAL(path)
		if err != nil {
			return nil, err
		}
		i.logs = append(i.logs, w)
	}
	if i.harm, err = readValueLog(dir, i.head); err != nil {
		return nil, err
	}
	reason := i.follow()
	if reason == "" {
		reason = i.compare()
	}
	if reason == "" {
		if reason, err = i.values(now); err != nil {
			return nil, err
		}
	}
	if i.file.harm != "" {
		reason = strings.TrimPrefix(reason+"; "+headName+" is damaged: "+i.file.harm, "; ")
	}
	if err := i.misplaced(); err != nil {
		return nil, err
	}
	if reason != "" {
		return i, i.loss(reason)
	}
	return i, nil
}

// walFiles are the .mem files in the order of their numbers.
func walFiles(dir string) ([]string, error) {
	files, err := numberedFiles(dir, ".mem")
	var names []string
	for _, f := range files {
		names = append(names, filepath.Join(dir, f.entry.Name()))
	}
	return names, err
}

// hasNoStore tells a new directory from one whose list of tables is missing, without
// which Badger would remove all tables. A HEAD of no commit is what a process leaves that
// has ended before Badger began.
func hasNoStore(dir string, r headRead) (bool, error) {
	if r.exists && (r.harm != "" || r.newest == nil || r.newest.bound()) {
		return false, nil
	}
	for _, pattern := range []string{"*.sst", "*.mem", "*.vlog"} {
		found, err := filepath.Glob(filepath.Join(globbed(dir), pattern))
		if err != nil || len(found) > 0 {
			return false, err
		}
	}
	return true, nil
}

// globbed makes a directory's name stand for itself in a pattern.
func globbed(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// compare compares what was found with HEAD.
func (i *inspection) compare() (reason string) {
	h := i.head
	switch {
	case h == nil && i.chained:
		return headName + " is missing or damaged, which says what was committed last"
	case h == nil:
		return ""
	case !h.bound() && i.chained && !i.first:
		return headName + " is damaged, which says what was committed last"
	case !h.bound():
		return ""
	}
	if slices.ContainsFunc(i.replaced, h.same) {
		return "" // the process ended between the first commit after a loss and HEAD
	}
	if h.sequence > i.found.sequence {
		return i.unreachable()
	}
	if !i.chained {
		return headName + " is of another copy than the other files, which have no record of the store's own"
	}
	if h.sequence == i.found.sequence {
		if h.link != i.found.link {
			return fmt.Sprintf("%s is of another copy than the other files: both have a commit %d, and not the same", headName, h.sequence)
		}
		return ""
	}
	known := []mark{{sequence: i.tables.at, link: i.tables.chain.link}}
	for _, w := range i.logs {
		for _, c := range w.commits {
			known = append(known, c.mark)
		}
	}
	for _, m := range known {
		if m.sequence == h.sequence && m.link != h.link {
			return fmt.Sprintf("%s is of another copy than the other files: both have a commit %d, and not the same", headName, h.sequence)
		}
	}
	return ""
}

// unreachable says where the commits after the last one that was found should be.
func (i *inspection) unreachable() string {
	for n := len(i.logs) - 1; n >= 0; n-- {
		w := i.logs[n]
		if w.bad >= 0 {
			i.cut = &cut{n, w.end}
			return fmt.Sprintf("%s is damaged at %d", w.path, w.bad)
		}
		if len(w.stray) > 0 {
			i.cut = &cut{n, w.end}
			return fmt.Sprintf("%s has no end of what begins at %d", w.path, w.end)
		}
	}
	return "a .mem file or a table with the last commits is missing, cut off, or of an earlier copy"
}

// values looks for keys whose values are lost.
func (i *inspection) values(now time.Time) (reason string, err error) {
	lost, err := i.harm.lostValues(i.tables, i.logs, now)
	if err != nil || len(lost) == 0 {
		return "", err
	}
	files := map[uint32]int{}
	for _, p := range lost {
		files[p.file]++
		i.harm.highest = max(i.harm.highest, p.file)
	}
	for _, number := range slices.Sorted(maps.Keys(files)) {
		what := "is missing or empty"
		if number == i.harm.newest && i.harm.foreign {
			what = "has a damaged header"
		}
		if number == i.harm.newest && !i.harm.foreign && !slices.Contains(i.harm.missing, number) {
			what = fmt.Sprintf("is damaged or cut off at %d", i.harm.end)
		}
		reason += fmt.Sprintf("%s %s, and %d values are in it; ", valueFileName(i.dir, number), what, files[number])
	}
	return strings.TrimSuffix(reason, "; "), nil
}
