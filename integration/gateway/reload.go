package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

// adminAddress is in the global options of every Caddyfile that a Process runs.
var adminAddress = regexp.MustCompile(`(?m)^\tadmin (\S+)$`)

// maxLoadAnswer bounds what is read of the admin API's answer, in bytes.
const maxLoadAnswer = 1 << 20

// Reload gives the running gateway another Caddyfile, and returns when it is in use, or
// refused, and the servers that end take no connections any more. It asks the admin API, as caddy reload --force does, and spares the start of another
// Caddy: under the race detector one costs as much CPU as ten loads.
func (p *Process) Reload(ctx context.Context, caddyfile string) error {
	running, err := os.ReadFile(p.file)
	if err != nil {
		return err
	}
	admin := adminAddress.FindSubmatch(running)
	if admin == nil {
		return errors.New("the Caddyfile has no admin address")
	}
	if err := os.WriteFile(p.file, []byte(caddyfile), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, commandWithin, fmt.Errorf("the reload has no answer after %s", commandWithin))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(admin[1])+"/load", strings.NewReader(caddyfile))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "text/caddyfile")
	r.Header.Set("Cache-Control", "must-revalidate") // load it also if nothing has changed
	r.Header.Set("Caddy-Config-Source-File", p.file)
	// A load replaces the admin API's server too: no connection is of use afterwards.
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	defer res.Body.Close()
	return errors.Join(loaded(res), p.HandedOver(ctx))
}

// loaded is nil if the admin API's answer says that the configuration is in use.
func loaded(res *http.Response) error {
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxLoadAnswer))
	if err != nil || res.StatusCode == http.StatusOK {
		return err
	}
	var refusal struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(answer, &refusal); err != nil {
		return fmt.Errorf("reload: %s, %q: %w", res.Status, answer, err)
	}
	return fmt.Errorf("reload: %s: %s", res.Status, refusal.Error)
}

// HandedOver returns when no two servers of the gateway listen on one address, as they
// do for a moment at the end of each load.
func (p *Process) HandedOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, commandWithin, fmt.Errorf("not handed over after %s", commandWithin))
	defer cancel()
	for {
		address, err := shared(p.Pid())
		if err != nil || address == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("two servers listen on %s, in hexadecimal: %w", address, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}
