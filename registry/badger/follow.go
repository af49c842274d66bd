package badger

import "fmt"

// follow follows the commits from the tables through the logs. It returns why that
// must end before the last one, or nothing.
func (i *inspection) follow() (reason string) {
	t := i.tables
	i.found, i.seen = mark{sequence: t.newest}, t.newest
	if i.head != nil {
		i.seen = max(i.seen, i.head.sequence)
	}
	if t.chained {
		i.chained = true
		if t.at == t.newest {
			i.found = mark{t.at, t.chain.link, t.chain.time}
		}
		i.unchained = t.at != t.newest
		i.first = t.chain.first()
		i.replaced = append(i.replaced, t.chain.replaces)
	}
	for n, w := range i.logs {
		i.seen = max(i.seen, w.newestStray())
		for _, c := range w.commits {
			i.seen = max(i.seen, c.sequence)
		}
		if reason == "" {
			reason = i.followLog(n, w)
		}
	}
	if reason == "" && i.unchained {
		return fmt.Sprintf("some commits up to %d have no record of the store's own: an earlier version of this program has written here since, or files are of another copy", i.found.sequence)
	}
	return reason
}

func (i *inspection) followLog(n int, w *wal) (reason string) {
	if w.foreign != "" {
		return i.stop(n, 0, w.foreign)
	}
	for _, c := range w.commits {
		if reason := i.followCommit(n, c); reason != "" {
			return reason
		}
	}
	last := i.found.sequence
	if len(w.commits) > 0 {
		last = min(last, w.commits[len(w.commits)-1].sequence)
	}
	if w.torn(last, i.chained) {
		return ""
	}
	at := w.bad
	if at < 0 {
		at = w.end
	}
	return i.stop(n, w.end, fmt.Sprintf("it is damaged at %d, and what comes after that is not the rest of an unfinished commit", at))
}

func (i *inspection) followCommit(n int, c commit) (reason string) {
	switch {
	case c.sequence <= i.tables.newest:
		// The log of a table that was flushed; its file was not yet removed.
		if i.tables.chained && c.chained && c.sequence == i.tables.at && c.mark.link != i.tables.chain.link {
			return i.stop(n, fileHeader, fmt.Sprintf("it is of another copy than the tables: both have a commit %d, and not the same", c.sequence))
		}
		return ""
	case i.chained && c.sequence != i.found.sequence+1:
		return i.stop(n, c.begins, fmt.Sprintf("at %d it goes on with commit %d, what was between %v and that is missing", c.begins, c.sequence, i.found))
	case c.chained && !i.unchained && c.previous != i.found.link:
		return i.stop(n, c.begins, fmt.Sprintf("at %d, commit %d does not follow %v: it is of another copy", c.begins, c.sequence, i.found))
	}
	i.unchained = i.unchained || i.chained && !c.chained
	i.chained = i.chained || c.chained
	i.take(c)
	return ""
}

func (i *inspection) take(c commit) {
	if c.restart { // somebody has accepted that
		i.unchained = false
	}
	i.found, i.first = c.mark, c.first()
	i.replaced = append(i.replaced, c.replaces)
}

// stop notes where the logs are cut off when the loss is accepted.
func (i *inspection) stop(log, offset int, reason string) string {
	i.cut = &cut{log, offset}
	return fmt.Sprintf("%s: %s", i.logs[log].path, reason)
}
