package caddymodule

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files that the configuration names are read again when they change. caddy reload does
// not do that: of a configuration whose text is the same it says that it is unchanged.
//
// They are looked at by name, every few seconds: so it makes no difference whether an
// editor writes into a file, a deployment renames another one over it, or Kubernetes
// turns the symbolic link to its folder. Events of the file system miss some of these,
// and all of a network's.

// lookEvery is the time between two looks.
const lookEvery = 2 * time.Second

// maxWatched is how much of the files of one thing is compared.
const maxWatched = 16 << 20

// watchedFiles are the files of one thing: a JWKS, a certificate with its key, a policy.
type watchedFiles struct {
	// what they are, for the log.
	what string
	// names are their names now.
	names func() ([]string, error)
	// use reads them, and has what they say counted; where it fails what was before counts.
	use func() error

	// seen is how the files looked when they were read, sum what they held.
	seen []seenFile
	sum  [sha256.Size]byte
	// bad: the files are not what counts. It is said once.
	bad bool
}

// seenFile is how a file looked. Whoever changes what is in it can keep its time and its
// size, but not all of this.
type seenFile struct {
	name string
	info fs.FileInfo // nil for none
}

func (a seenFile) same(b seenFile) bool {
	if a.name != b.name || (a.info == nil) != (b.info == nil) {
		return false
	}
	return a.info == nil || os.SameFile(a.info, b.info) && a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime()) &&
		a.info.Mode() == b.info.Mode() && changed(a.info) == changed(b.info)
}

// fileWatch looks at all files of a configuration.
type fileWatch struct {
	mu    sync.Mutex
	files []*watchedFiles
	log   *slog.Logger
}

// add begins to watch files that are about to be read for the first time: what changes
// from now on is seen.
func (w *fileWatch) add(what string, names func() ([]string, error), use func() error) {
	f := &watchedFiles{what: what, names: names, use: use}
	seen, err := f.look()
	if err != nil {
		return // it cannot be read now, or only once, like a pipe
	}
	f.seen = seen
	f.sum, _ = f.hash()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = append(w.files, f)
}

// fixed are names that stay.
func fixed(names ...string) func() ([]string, error) {
	return func() ([]string, error) { return names, nil }
}

// run looks every lookEvery until ctx, the configuration's, ends.
func (w *fileWatch) run(ctx context.Context) {
	w.mu.Lock()
	none := len(w.files) == 0
	w.mu.Unlock()
	if none {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(time.Now())
		}
	}
}

// look reads what has changed since the last look. now is what the files' times are
// compared with.
func (w *fileWatch) look(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.files {
		f.reread(w.log, now)
	}
}

func (f *watchedFiles) reread(log *slog.Logger, now time.Time) {
	before, err := f.look()
	if err == nil && !f.bad && sameFiles(before, f.seen) && !recent(before, now) {
		return
	}
	var sum [sha256.Size]byte
	if err == nil {
		sum, err = f.hash()
	}
	if err == nil && !f.bad && sum == f.sum {
		f.seen = before // touched
		return
	}
	if err == nil {
		err = f.safeUse()
	}
	if err != nil {
		if !f.bad {
			log.Warn("cannot use a file that has changed; goes on with what it read before", slog.String("what", f.what), slog.Any("error", err))
		}
		f.bad = true
		return
	}
	after, err := f.look()
	if err != nil || !sameFiles(before, after) {
		return // it is being written: read it once more with the next look
	}
	if sum != f.sum || f.bad {
		log.Info("read a file again that has changed", slog.String("what", f.what), slog.Any("files", fileNames(before)))
	}
	f.seen, f.sum, f.bad = before, sum, false
}

// safeUse is use. It runs in no request's goroutine, where a panic would end the process.
func (f *watchedFiles) safeUse() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f.use()
}

// recent tells whether a file was changed so shortly before a look that it may change
// once more and look the same: clocks of file systems tick slowly.
func recent(files []seenFile, now time.Time) bool {
	for _, f := range files {
		if f.info != nil && now.Sub(f.info.ModTime()) < 2*lookEvery {
			return true
		}
	}
	return false
}

func sameFiles(a, b []seenFile) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].same(b[i]) {
			return false
		}
	}
	return true
}

func fileNames(files []seenFile) (names []string) {
	for _, f := range files[:min(len(files), 10)] {
		names = append(names, f.name)
	}
	return names
}

func (f *watchedFiles) look() ([]seenFile, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	seen := make([]seenFile, len(names))
	for i, name := range names {
		if seen[i], err = statFile(name); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// statFile looks at a file, or at what a symbolic link points to.
func statFile(name string) (seenFile, error) {
	info, err := os.Stat(name)
	if err != nil {
		return seenFile{}, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return seenFile{}, fmt.Errorf("%s is no regular file", name)
	}
	return seenFile{name, info}, nil
}

// hash is of what is in the files.
func (f *watchedFiles) hash() (sum [sha256.Size]byte, err error) {
	names, err := f.names()
	if err != nil {
		return sum, err
	}
	h, left := sha256.New(), int64(maxWatched)
	for _, name := range names {
		text, err := readAtMost(name, left)
		if err != nil {
			return sum, err
		}
		left -= int64(len(text))
		fmt.Fprintf(h, "%q %d\n", name, len(text))
		if _, err := io.Copy(h, bytes.NewReader(text)); err != nil {
			return sum, err
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// readAtMost reads a file. A folder has nothing.
func readAtMost(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: larger than %d bytes", name, most)
	}
	return text, err
}
