package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// examine looks at one client, and stores what has changed about it.
func (p *passing) examine(ctx context.Context, id string) error {
	var c *Client
	var registered *verify.PolicyCertificate
	var before []Finding
	err := p.r.store.View(ctx, func(v Reader) (err error) {
		if c, err = loadClient(v, p.ws.Name, id); err != nil || !c.Registered() {
			return err
		}
		if c.Use, err = p.r.useOf(v, c); err != nil {
			return err
		}
		text, err := get(v, certificateKey(c))
		if registered = nil; err == nil && text != nil {
			if json.Unmarshal(text, &registered) != nil {
				registered = nil // Details tell of it
			}
		}
		if err == nil {
			before, err = readFindings(v, c)
		}
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !c.Registered():
		return nil // deleted meanwhile
	case err != nil:
		return err
	}
	p.Looked++
	found, unknown := p.find(ctx, c, registered)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	found = p.merge(found, before, unknown)
	for _, f := range found {
		p.Counting[f.Kind]++
		if find(before, f.Kind) == nil {
			p.tell(c, f)
		}
	}
	if !slices.Equal(found, before) {
		if err := p.r.putFindings(ctx, c, found); err != nil {
			return err
		}
	}
	return p.suspend(ctx, c, found)
}

// find is all that speaks against a client.
func (p *passing) find(ctx context.Context, c *Client, registered *verify.PolicyCertificate) (found []Finding, unknown []string) {
	if days := p.ws.Retire.Days; days > 0 {
		if since := p.r.unusedSince(c); since <= DayOf(p.r.now())-int64(days) {
			found = append(found, Finding{Kind: Unused, Detail: fmt.Sprintf("not used since %s", DayTime(since).Format(time.DateOnly))})
		}
	}
	if p.ws.Trust == nil {
		return found, nil
	}
	result := p.safely(ctx, c, registered)
	if result.Directory != nil {
		p.foundDirectory(*result.Directory)
	}
	return append(found, result.Findings...), result.Unknown
}

// safely is CheckClient, in which a panic about what a directory has published must not end
// the process.
func (p *passing) safely(ctx context.Context, c *Client, registered *verify.PolicyCertificate) (result TrustResult) {
	defer func() {
		if cause := recover(); cause != nil {
			p.r.log.Error("recovered from a panic while it looked again at a client", slog.String("client_id", c.ClientID), slog.Any("panic", cause))
			result = TrustResult{Unknown: FindingKinds}
		}
	}()
	return p.ws.Trust.CheckClient(ctx, c, registered, p.r.waitForFetch)
}

// merge keeps since when a finding holds, and what is not known to have ended.
func (p *passing) merge(found, before []Finding, unknown []string) (merged []Finding) {
	for _, kind := range FindingKinds {
		was := find(before, kind)
		switch f := find(found, kind); {
		case f != nil && was != nil:
			f.Since, f.SuspendedAt, f.Detail = was.Since, was.SuspendedAt, cut(f.Detail)
			merged = append(merged, *f)
		case f != nil:
			f.Since, f.Detail = p.r.now().Unix(), cut(f.Detail)
			merged = append(merged, *f)
		case was != nil && kind != Unused && slices.Contains(unknown, kind):
			merged = append(merged, *was)
		}
	}
	return merged
}

// tell logs a finding that is new.
func (p *passing) tell(c *Client, f Finding) {
	if p.told++; p.told > maxTold {
		return
	}
	p.r.log.Warn("found something that speaks against a client", slog.String("workspace", p.ws.Name), slog.String("client_id", c.ClientID),
		slog.String("software_id", c.SoftwareID), slog.String("kind", f.Kind), slog.String("reason", f.Detail))
}

// putFindings writes those about a client, unless it was deleted meanwhile.
func (r *Registry) putFindings(ctx context.Context, c *Client, found []Finding) error {
	return r.store.Update(ctx, func(w Writer) error {
		record, err := get(w, clientKey(c))
		if err != nil {
			return err
		}
		if record == nil || len(found) == 0 {
			return w.Delete(findingKey(c))
		}
		return putRecord(w, findingKey(c), findingsOf(c, found))
	})
}
