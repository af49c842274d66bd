package command

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressAfter is after how long something is told, and then how often.
const progressAfter = 2 * time.Second

// progressEvery is progressAfter, except in tests: these compare what is printed, and must not
// depend on how fast the machine is.
var progressEvery = progressAfter

// progress says on standard error how far something is that takes long.
type progress struct {
	mu   sync.Mutex
	text string
	done chan struct{}
	over sync.WaitGroup
}

// startProgress says from progressAfter on, again and again, what was said last: text at
// first. The caller stops it.
func startProgress(out io.Writer, every time.Duration, text string) *progress {
	p := &progress{text: text, done: make(chan struct{})}
	p.over.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-p.done:
				return
			case <-ticks.C:
				p.mu.Lock()
				fmt.Fprintln(out, p.text)
				p.mu.Unlock()
			}
		}
	})
	return p
}

// say is how far it is.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = fmt.Sprintf(format, args...)
}

// stop ends it. Nothing more is said from then on.
func (p *progress) stop() {
	close(p.done)
	p.over.Wait()
}
