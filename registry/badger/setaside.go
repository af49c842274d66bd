package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What an accepted loss takes away is copied into a folder of the store's directory
// first, and tables that Badger would remove are moved there. pendingName in it says that the store has not been told of the loss yet.
const (
	lostPrefix  = "lost-"
	pendingName = "pending.json"
	newSuffix   = ".new"
)

// pending returns the acceptances that a process has begun and not ended.
func pending(dir string) (begun []*acceptance, err error) {
	found, err := filepath.Glob(filepath.Join(globbed(dir), lostPrefix+"*", pendingName))
	if err != nil {
		return nil, fmt.Errorf("registry/badger: %w", err)
	}
	for _, path := range found {
		if strings.HasSuffix(filepath.Dir(path), newSuffix) {
			continue // not even copied
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("registry/badger: %w", err)
		}
		a := &acceptance{}
		if err := json.Unmarshal(text, a); err != nil {
			return nil, fmt.Errorf("registry/badger: %s: %w", path, err)
		}
		a.folder = filepath.Dir(path)
		begun = append(begun, a)
	}
	return begun, nil
}

// newFolder is a name for the acceptance's folder that nothing has. A damaged copy that was
// put back finds the folder of the first time.
func (a *acceptance) newFolder(dir string) (string, error) {
	const most = 1000
	name := filepath.Join(dir, lostPrefix+a.Word)
	for n := 2; n <= most; n++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		}
		name = filepath.Join(dir, fmt.Sprintf("%s%s-%d", lostPrefix, a.Word, n))
	}
	return "", fmt.Errorf("too many folders of the loss %s in %s: move them away", a.Word, dir)
}

// end removes the note that the store has not been told.
func (a *acceptance) end() error {
	if err := os.Remove(filepath.Join(a.folder, pendingName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("registry/badger: %w", err)
	}
	return syncDirectory(a.folder)
}

// setAside copies what is cut off, then cuts it off. A process that ends meanwhile leaves
// a directory that is refused, or one whose pending acceptance the next one finds.
func (i *inspection) setAside(a *acceptance) error {
	if err := i.copyLost(a); err != nil {
		return fmt.Errorf("registry/badger: set aside what is damaged: %w", err)
	}
	crashpoint("store: set aside")
	if err := i.moveUnlisted(a); err != nil {
		return fmt.Errorf("registry/badger: set aside what the list of tables does not name: %w", err)
	}
	crashpoint("store: tables set aside")
	if err := i.reserveNumber(); err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	if i.cut == nil {
		return nil
	}
	for n := len(i.logs) - 1; n >= i.cut.log; n-- {
		w := i.logs[n]
		if n > i.cut.log || i.cut.offset <= fileHeader {
			if err := os.Remove(w.path); err != nil {
				return fmt.Errorf("registry/badger: %w", err)
			}
			continue
		}
		if err := truncate(w.path, int64(i.cut.offset)); err != nil {
			return fmt.Errorf("registry/badger: %w", err)
		}
	}
	crashpoint("store: cut off")
	return syncDirectory(i.dir)
}

// moveUnlisted moves the tables that MANIFEST does not name, which Badger removes: where
// MANIFEST is cut off, what they hold may be nowhere else. Moved, they need no room. One
// that is in the folder already was there first: the other one is Badger's, begun since.
func (i *inspection) moveUnlisted(a *acceptance) error {
	found, err := filepath.Glob(filepath.Join(globbed(i.dir), "*.sst"))
	if err != nil {
		return err
	}
	for _, path := range found {
		if slices.ContainsFunc(i.tables.files, func(f tableFile) bool { return f.path == path }) {
			continue
		}
		kept := filepath.Join(a.folder, filepath.Base(path))
		if _, err := os.Lstat(kept); err == nil {
			continue
		}
		if err := os.Rename(path, kept); err != nil {
			return err
		}
	}
	return errors.Join(syncDirectory(a.folder), syncDirectory(i.dir))
}

// reserveNumber makes an empty file of the value log with the highest number that was
// lost. Badger would give that number to its next file, where the keys that point to the
// lost one would find other values.
func (i *inspection) reserveNumber() error {
	h := i.harm
	path := valueFileName(i.dir, h.highest)
	if h.foreign && h.newest == h.highest {
		if err := os.Remove(path); err != nil {
			return err
		}
	} else if h.highest <= h.newest {
		return nil
	}
	return writeFile(path, nil, fileHeader)
}

func truncate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// copyLost makes the folder, whole or not at all.
func (i *inspection) copyLost(a *acceptance) error {
	if a.folder != "" {
		return nil // a process that has ended has made it
	}
	to, err := a.newFolder(i.dir)
	if err != nil {
		return err
	}
	part := to + newSuffix
	if err := errors.Join(os.RemoveAll(part), os.Mkdir(part, 0o700)); err != nil {
		return err
	}
	paths := []string{filepath.Join(i.dir, manifestName)} // Badger cuts that off, too
	if i.cut != nil {
		for _, w := range i.logs[i.cut.log:] {
			paths = append(paths, w.path)
		}
	}
	if i.harm.unclean {
		paths = append(paths, valueFileName(i.dir, i.harm.newest))
	}
	if i.file.exists {
		paths = append(paths, filepath.Join(i.dir, headName))
	}
	for _, path := range paths {
		if err := copyFile(path, filepath.Join(part, filepath.Base(path))); err != nil {
			return err
		}
	}
	note, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(part, pendingName), note, int64(len(note))); err != nil {
		return err
	}
	if err := errors.Join(syncDirectory(part), os.Rename(part, to)); err != nil {
		return err
	}
	a.folder = to
	return syncDirectory(i.dir)
}

// copyFile leaves the hole at a file's end one.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	used := len(data)
	for used > 0 && data[used-1] == 0 {
		used--
	}
	return writeFile(to, data[:used], int64(len(data)))
}

func writeFile(path string, data []byte, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Truncate(size), f.Sync(), f.Close())
}
