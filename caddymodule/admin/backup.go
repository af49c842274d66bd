package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// backupPatience is how long one part of a backup may take to be read.
const backupPatience = time.Minute

// backup sends a backup of the store. Once it has begun there is no other way to say that it
// has failed than to cut the connection: the file has no end then, and no restore takes it.
func (c *call) backup(w http.ResponseWriter) error {
	if _, err := c.query(nil); err != nil {
		return err
	}
	act, err := c.said()
	if err != nil {
		return err
	}
	log := operatorLog(act)
	to := &streamWriter{w: w, contentType: "application/octet-stream"}
	header, err := c.app.Backup(c.r.Context(), to, nil)
	switch {
	case err == nil:
		log.Info("sent a backup of the store", slog.Int64("records", header.Records()))
		return nil
	case to.begun:
		log.Warn("cannot send the whole backup of the store; no restore takes what was sent", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	case errors.Is(err, registry.ErrBackupRunning):
		return failed(http.StatusConflict, err)
	case errors.Is(err, caddymodule.ErrStoreNotOpen):
		return failed(http.StatusServiceUnavailable, err)
	}
	return withStatus(err)
}

// operatorLog is the log of what an operator does that the audit trail has not.
func operatorLog(act registry.Act) *slog.Logger {
	log := slog.New(zapslog.NewHandler(caddy.Log().Named("admin.api.openbanking_dcr").Core()))
	return log.With(slog.String("operator", act.Operator.Name), slog.String("known", act.Operator.Known), slog.String("reason", act.Reason))
}

// streamWriter gives each part of a file that is sent the time that it may take.
type streamWriter struct {
	w           http.ResponseWriter
	contentType string
	begun       bool
}

func (b *streamWriter) Write(part []byte) (int, error) {
	if !b.begun {
		b.begun = true
		header := b.w.Header()
		header.Set("Content-Type", b.contentType)
		header.Set("Cache-Control", "no-store")
	}
	err := http.NewResponseController(b.w).SetWriteDeadline(time.Now().Add(backupPatience))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return b.w.Write(part)
}
