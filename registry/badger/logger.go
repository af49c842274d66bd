package badger

import (
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// Logger takes messages in the manner of fmt.Printf. A *zap.SugaredLogger is one.
// It is called from several goroutines at once.
type Logger interface {
	Errorf(format string, args ...any)
	Warnf(format string, args ...any)
	Debugf(format string, args ...any)
}

// silent is the default. A nil logger would do for Badger, but not for reading
// its messages.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

var _ badger.Logger = (*filter)(nil)

// filter is between Badger and a Logger. Badger tells an operator's business
// (opened, flushed, compacted) at info and a line per write at debug: the first
// become debug messages, the second are dropped.
type filter struct {
	Logger
	failure *failure
}

// unsynced begins the only trace of a value log that could not be synced: Badger
// writes this message and reports the commit as done (value.go, valueLog.write).
const unsynced = "Error while curlf sync"

func (f *filter) Errorf(format string, args ...any) {
	if strings.HasPrefix(format, unsynced) {
		f.failure.record(fmt.Errorf("value log not synced: %w", fmt.Errorf(trimmed(format), args...)))
	}
	f.Logger.Errorf(trimmed(format), args...)
}

func (f *filter) Warningf(format string, args ...any) { f.Warnf(trimmed(format), args...) }
func (f *filter) Infof(format string, args ...any)    { f.Logger.Debugf(trimmed(format), args...) }
func (f *filter) Debugf(string, ...any)               {}

func trimmed(format string) string { return strings.TrimRight(format, "\n") }
