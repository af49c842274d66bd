package caddymodule_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

func init() {
	caddy.RegisterModule(new(Weekdays))
}

// Weekdays takes registrations on some days of the week.
type Weekdays struct {
	Days []string `json:"days"`
}

func (*Weekdays) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.openbanking_dcr.policies.weekdays", New: func() caddy.Module { return new(Weekdays) }}
}

// UnmarshalCaddyfile reads: policy weekdays <day...>
func (w *Weekdays) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // weekdays
	if w.Days = d.RemainingArgs(); len(w.Days) == 0 {
		return d.ArgErr()
	}
	return nil
}

// Decide is a verify.Policy.
func (w *Weekdays) Decide(_ context.Context, in *verify.PolicyInput) (verify.Decision, error) {
	if day := strings.ToLower(in.Now.Weekday().String()); !slices.Contains(w.Days, day) {
		return verify.Decision{Text: "registration: not on this day; come back on a weekday", Reason: "it is " + day}, nil
	}
	return verify.Decision{Allowed: true}, nil
}

// TestDocumentedPolicyModule is the documentation's example of a policy of somebody else's.
func TestDocumentedPolicyModule(t *testing.T) {
	w := new(Weekdays)
	if err := w.UnmarshalCaddyfile(caddyfile.NewTestDispenser("weekdays monday friday")); err != nil {
		t.Fatal(err)
	}
	for day, allowed := range map[int]bool{2: true, 3: false, 6: true} { // March 2026 begins on a Sunday
		in := &verify.PolicyInput{Now: time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC)}
		if d := verify.Evaluate(t.Context(), w, in, time.Minute); d.Allowed != allowed || d.Fault != nil {
			t.Errorf("March %d: got %+v, want allowed %t", day, d, allowed)
		}
	}
}
