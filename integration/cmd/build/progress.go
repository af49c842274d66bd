package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// stillEvery is how often a long step says that it goes on.
const stillEvery = 15 * time.Second

// progress writes one line a step with the time since the start. It is the
// Writer of xcaddy's log, of which it understands the steps that take time.
type progress struct {
	start   time.Time
	ticker  *time.Ticker
	stopped chan struct{}

	mu      sync.Mutex
	w       io.Writer
	current string
}

func newProgress(w io.Writer) *progress {
	p := &progress{start: time.Now(), ticker: time.NewTicker(stillEvery), stopped: make(chan struct{}), w: w}
	go p.still()
	return p
}

func (p *progress) step(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = fmt.Sprintf(format, args...)
	p.ticker.Reset(stillEvery)
	p.print(p.current)
}

// print is called under the lock.
func (p *progress) print(text string) {
	fmt.Fprintf(p.w, "[%5.1fs] %s\n", time.Since(p.start).Seconds(), text)
}

func (p *progress) still() {
	for {
		select {
		case <-p.ticker.C:
			p.mu.Lock()
			p.print("still: " + p.current)
			p.mu.Unlock()
		case <-p.stopped:
			p.ticker.Stop()
			return
		}
	}
}

// end ends the lines about long steps. Call it once.
func (p *progress) end() { close(p.stopped) }

// steps are words in a line of xcaddy's log and what they begin.
var steps = []struct{ words, step string }{
	{"[INFO] Initializing Go module", "prepare a module"},
	{"[INFO] Pinning versions", "resolve and download modules"},
	{"[INFO] Building Caddy", "check the module graph"},
	{" build -o ", "compile and link"},
}

// Write takes one line of xcaddy's log.
func (p *progress) Write(line []byte) (int, error) {
	for _, s := range steps {
		if strings.Contains(string(line), s.words) {
			p.step("%s", s.step)
		}
	}
	return len(line), nil
}
