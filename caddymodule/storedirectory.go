package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The store's directory is written to when the store is opened, never before: caddy
// validate runs beside a gateway. Until then it is judged by owner and mode.

// directoryDoubt is what speaks against a directory, by the name of its check.
type directoryDoubt struct{ check, problem string }

// Checks of the store's directory.
const (
	storeNotWritable  = "store-not-writable"
	storeOpenToOthers = "store-open-to-others"
)

// judgeDirectory returns what speaks against a directory as the store's, none or
// several, in words. An error is what no user could work with. It is judged for the user
// that runs this process; root may do everything, so that for it only the rights of
// others count.
func judgeDirectory(dir string, me identity) (doubts []directoryDoubt, err error) {
	existing, info, err := nearest(dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return []directoryDoubt{{storeNotWritable, fmt.Sprintf("%s cannot be looked at by user %s: %v", dir, me, err)}}, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no directory", existing)
	}
	o, known := ownerOf(info)
	if !known {
		return nil, nil
	}
	mode := info.Mode().Perm()
	if !o.mayChange(me, mode) {
		what := fmt.Sprintf("%s belongs to user %s and has mode %04o, so that user %s cannot write into it", existing, o, mode, me)
		if existing != dir {
			what += ", and cannot make " + dir
		}
		return []directoryDoubt{{storeNotWritable, what}}, nil
	}
	if existing != dir {
		return nil, nil
	}
	if mode&0o022 != 0 {
		doubts = append(doubts, directoryDoubt{storeOpenToOthers, fmt.Sprintf("%s has mode %04o: others than user %s can put in clients, and take them away", dir, mode, o)})
	} else if mode&0o007 != 0 {
		doubts = append(doubts, directoryDoubt{storeOpenToOthers, fmt.Sprintf("%s has mode %04o: everybody on this machine can look into it", dir, mode)})
	}
	return append(doubts, judgeFiles(dir, me)...), nil
}

// maxJudged bounds how many files of a directory are looked at.
const maxJudged = 1000

// judgeFiles finds one that this process cannot write, as they are after a start as
// another user.
func judgeFiles(dir string, me identity) []directoryDoubt {
	d, err := os.Open(dir)
	if err != nil {
		return nil // its mode says so
	}
	defer d.Close()
	entries, _ := d.ReadDir(maxJudged)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if o, known := ownerOf(info); known && !o.mayWrite(me, info.Mode().Perm()) {
			return []directoryDoubt{{storeNotWritable, fmt.Sprintf("%s belongs to user %s and has mode %04o, so that user %s cannot write it", filepath.Join(dir, entry.Name()), o, info.Mode().Perm(), me)}}
		}
	}
	return nil
}

// nearest is a directory, or the one above it that exists.
func nearest(dir string) (string, fs.FileInfo, error) {
	for {
		info, err := os.Stat(dir)
		above := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || above == dir {
			return dir, info, err
		}
		dir = above
	}
}
