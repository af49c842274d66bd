package caddymodule

import (
	"context"
	"log/slog"
	"slices"
)

// Doubt is something in a configuration that may be meant, and rarely is. It is logged as
// a warning when the configuration loads, and caddy dcr check makes a finding of it.
type Doubt struct {
	// Check is the name of the finding: client-auth-missing.
	Check string
	// Workspace is whose it is, empty for what all workspaces share.
	Workspace string
	// What is the log message, Place where in the configuration, as the admin API has it,
	// and Cure what to do.
	What, Place, Cure string
	// More are the other attributes of the log line.
	More []slog.Attr
}

// doubtful is what has doubts: whose they are, where they are logged and kept.
type doubtful struct {
	workspace string
	log       *slog.Logger
	kept      *[]Doubt
}

// doubt warns of what may be meant in a configuration, and rarely is.
func doubt(of doubtful, what, check, place, cure string, more ...slog.Attr) {
	*of.kept = append(*of.kept, Doubt{Check: check, Workspace: of.workspace, What: what, Place: place, Cure: cure, More: more})
	of.log.LogAttrs(context.Background(), slog.LevelWarn, what, append(slices.Clone(more), slog.String("place", place), slog.String("cure", cure))...)
}

func (a *App) doubtful() doubtful { return doubtful{log: a.log, kept: &a.doubts} }

func (h *Handler) doubtful() doubtful {
	return doubtful{workspace: h.Workspace, log: h.log, kept: &h.app.doubts}
}

// Doubts are those that loading this configuration had.
func (a *App) Doubts() []Doubt {
	all := slices.Clone(a.doubts)
	if b, ok := a.engine.(*BadgerStore); ok {
		all = append(all, b.doubts...)
	}
	return all
}
