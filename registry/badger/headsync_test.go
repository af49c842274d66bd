package badger

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeadIsSyncedOnceASecond: HEAD names each commit at once, and however many there are,
// it is brought to the disk once a second, behind them.
func TestHeadIsSyncedOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir, f := newHead(t)
		c := newChain(f, mark{}, new(failure))
		slot := func() int {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.slot // another one after each sync
		}
		syncs, last := 0, slot()
		look := func() {
			synctest.Wait()
			if now := slot(); now != last {
				syncs, last = syncs+1, now
			}
		}
		for n := range uint64(1000) { // ten seconds
			if err := c.committed(mark{sequence: n + 1, link: newLink()}); err != nil {
				t.Fatal(err)
			}
			if r, err := readHead(dir); err != nil || r.newest.sequence != n+1 {
				t.Fatalf("HEAD says %v, %v, after commit %d", r.newest, err, n+1)
			}
			time.Sleep(10 * time.Millisecond)
			look()
		}
		if syncs != 10 {
			t.Errorf("synced %d times in ten seconds of commits", syncs)
		}
		for range 60 {
			time.Sleep(time.Second)
			look()
		}
		if syncs != 10 {
			t.Errorf("synced %d times, a minute later", syncs)
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
}

// TestCrashPointsAreReached: every crash point of this package is one at which a test ends
// the process, or copies what it would have left.
func TestCrashPointsAreReached(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources, tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			tests.Write(text)
		} else {
			sources.Write(text)
		}
	}
	points := regexp.MustCompile(`crashpoint\("([^"]+)"\)`).FindAllStringSubmatch(sources.String(), -1)
	if len(points) == 0 {
		t.Error("no crash points")
	}
	for _, point := range points {
		if !strings.Contains(tests.String(), `"`+point[1]+`"`) {
			t.Errorf("no test reaches %q", point[1])
		}
	}
}
