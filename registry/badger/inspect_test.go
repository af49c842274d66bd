package badger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// found inspects a directory as a process does that is about to open it.
func found(t *testing.T, dir string) (*inspection, error) {
	t.Helper()
	i, err := inspect(dir, time.Now())
	if err != nil && !errors.Is(err, ErrLoss) {
		t.Fatal(err)
	}
	return i, err
}

// used is how many bytes of a log its records take.
func used(t *testing.T, dir string) int {
	t.Helper()
	w, err := readWAL(newest(t, dir, "mem"))
	if err != nil || len(w.stray) > 0 || w.bad >= 0 {
		t.Fatalf("the log is damaged before the test begins: %v", err)
	}
	return w.end
}

// TestEveryBit flips each bit of the log's used part, one after another: of headers,
// keys, values, checksums and closing records, in the first, the last and every other
// commit. Only of the header's last twelve bytes, which mean nothing without encryption,
// nothing is noticed.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	skipLong(t)
	dir := image(t)
	log := newest(t, dir, "mem")
	end := used(t, dir)
	// A short file is sooner read, and Badger needs no more; nor is the value log looked at
	// here, and holes cost time.
	alter(t, log, func(data []byte) []byte { return data[:end+100] })
	alter(t, newest(t, dir, "vlog"), func(data []byte) []byte { return bytes.TrimRight(data, "\x00") })
	data := mustRead(t, log)
	// In place: the file system brings a file to the disk that is written anew.
	file, err := os.OpenFile(log, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(at int, b byte) {
		if _, err := file.WriteAt([]byte{b}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	missed := 0
	for at := range end {
		for bit := range 8 {
			if at%8 != bit && at > 200 { // all of the header and the first records, and one of each other byte
				continue
			}
			write(at, data[at]^1<<bit)
			_, err := found(t, dir)
			if meaningless := at >= keyIDSize && at < fileHeader; (err == nil) != meaningless {
				if missed++; missed < 10 {
					t.Errorf("bit %d of byte %d of %d: %v", bit, at, end, err)
				}
			}
		}
		write(at, data[at])
	}
}

// TestEveryFile alters every file of the directory: what is refused changes nothing, and
// what is taken has everything.
func TestEveryFile(t *testing.T) {
	t.Parallel()
	skipLong(t)
	original := image(t)
	entries, err := os.ReadDir(original)
	if err != nil {
		t.Fatal(err)
	}
	// Without these nothing is lost.
	harmless := map[string]bool{"DISCARD": true, "KEYREGISTRY": true, "LOCK": true}
	for _, entry := range entries {
		for how, change := range map[string]func(path string) error{
			"missing":   os.Remove,
			"empty":     func(path string) error { return os.Truncate(path, 0) },
			"cut off":   func(path string) error { return os.Truncate(path, 25) },
			"one byte":  func(path string) error { return os.Truncate(path, 1) },
			"last byte": func(path string) error { return resize(path, -1) },
			"flipped":   flip(30),
			"at offset": flip(5),
		} {
			t.Run(entry.Name()+" "+how, func(t *testing.T) {
				dir := copyOf(t, original)
				if err := change(filepath.Join(dir, entry.Name())); err != nil {
					t.Skip(err) // too short for it
				}
				before := contents(t, dir)
				s, err := open(Options{Dir: dir}, small)
				if err == nil {
					if entry.Name() == "HEAD" && how != "at offset" && how != "flipped" {
						t.Error("opened")
					}
					holdsAll(t, s)
					if err := s.Close(); err != nil {
						t.Error(err)
					}
					return
				}
				if harmless[entry.Name()] && how == "missing" {
					t.Errorf("refused: %v", err)
				}
				if errors.Is(err, ErrLoss) && !bytes.Equal(before, contents(t, dir)) {
					t.Error("refusing has changed something")
				}
				if _, again := open(Options{Dir: dir}, small); again == nil {
					t.Errorf("refused once: %v", err)
				}
			})
		}
	}
}

// resize makes a file longer or shorter.
func resize(path string, by int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()+by)
}

func flip(at int64) func(path string) error {
	return func(path string) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return errors.Join(err, f.Close())
		}
		b[0] ^= 0x10
		_, err = f.WriteAt(b[:], at)
		return errors.Join(err, f.Close())
	}
}

// contents is everything in a directory, names, sizes and what is not a hole.
func contents(t *testing.T, dir string) []byte {
	t.Helper()
	var all bytes.Buffer
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %d %x\n", entry.Name(), len(data), bytes.TrimRight(data, "\x00"))
	}
	return all.Bytes()
}

// holdsAll looks for what image has written.
func holdsAll(t *testing.T, s *Store) {
	t.Helper()
	for n := range commitsOf {
		key := fmt.Sprintf("client/%d", n)
		for _, key := range []string{key, "index/" + key, "document/" + key} {
			if err := lookup(t, s, key); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
}

// TestDamagedValueLog: the newest file of the value log, which Badger cuts off at the
// first bad record, and a file that is missing.
func TestDamagedValueLog(t *testing.T) {
	t.Parallel()
	original := image(t)
	for name, harm := range map[string]func(path string) error{
		"first record": flip(40), "middle": flip(20000), "missing": os.Remove,
		"cut off": func(path string) error { return os.Truncate(path, 30000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, original)
			if err := harm(newest(t, dir, "vlog")); err != nil {
				t.Fatal(err)
			}
			if _, err := found(t, dir); err == nil {
				t.Error("not noticed")
			} else {
				t.Log(err)
			}
		})
	}
}

// TestMixedCopies puts directories together from an older and a newer copy, and from two
// that went on from the same.
func TestMixedCopies(t *testing.T) {
	t.Parallel()
	older := image(t)
	goOn := func(name string, closed bool) string {
		dir := copyOf(t, older)
		s := openIn(t, dir, small)
		for n := range 3 {
			if err := s.Update(t.Context(), func(w registry.Writer) error {
				return w.Put(fmt.Sprintf("%s/%d", name, n), document("of "+name)) // into the value log
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !closed {
			return copyOf(t, dir)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	a, b, closed := goOn("branch a", false), goOn("branch b", false), goOn("branch c", true)
	other, longer := goOn("branch d", true), goOn("a longer branch", true)
	// Each of the pairs gives one file to the other.
	for _, c := range []struct {
		name, to, from, pattern string
		fine                    bool
	}{
		{"HEAD of another branch", a, b, "HEAD", false},
		{"log of another branch", a, b, "*.mem", false},
		{"newer HEAD", older, a, "HEAD", false},
		{"older HEAD", a, older, "HEAD", true}, // nothing is missing
		{"HEAD of another branch, closed", closed, a, "HEAD", false},
		{"older MANIFEST", closed, older, "MANIFEST", false},
		{"MANIFEST of another branch", closed, a, "MANIFEST", false},
		{"HEAD and MANIFEST of an older copy", closed, older, "[HM]*", false},
		{"value log of another branch", a, b, "*.vlog", false},
		{"value log of another branch, closed", closed, other, "*.vlog", false},
		{"value log of another branch with other lengths, closed", closed, longer, "*.vlog", false},
		{"newest value log of another branch, closed", closed, other, "000002.vlog", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, c.to)
			files, err := filepath.Glob(filepath.Join(c.from, c.pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("files %q, %v", files, err)
			}
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err = found(t, dir)
			if (err == nil) != c.fine {
				t.Errorf("fine is %v, got %v", c.fine, err)
			}
			t.Log(err)
		})
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func trimmedFile(t *testing.T, path string) []byte {
	return bytes.TrimRight(mustRead(t, path), "\x00")
}
