package registry

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestReasonLength: what an operator writes has 500 bytes at most.
func TestReasonLength(t *testing.T) {
	for name, check := range map[string]func(reason string) error{
		"suspension": func(reason string) error {
			return (&Suspension{Workspace: "a", Kind: SuspendClient, Value: "a", Act: Act{Reason: reason}}).Check()
		},
		"confirmation": CheckConfirmation,
	} {
		for size, want := range map[int]bool{500: true, 501: false} {
			if err := check(strings.Repeat("x", size)); (err == nil) != want {
				t.Errorf("%s with a reason of %d bytes: %v, want it accepted: %v", name, size, err, want)
			}
		}
	}
}

// TestDiscrepancyErrorLength: an AS may say a lot, of which 500 bytes are stored.
func TestDiscrepancyErrorLength(t *testing.T) {
	r := &Registry{now: time.Now}
	for _, size := range []int{100, 1000} {
		cause := errors.New(strings.Repeat("x", size))
		whole := errorText(cause)
		want := whole[:min(len(whole), 500)]
		if got := r.discrepancy("kind", &Client{}, cause).Error; got != want {
			t.Errorf("an error of %d bytes: %d are stored, want %d", len(whole), len(got), len(want))
		}
	}
}
