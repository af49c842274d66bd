package authserver

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// TestFamilyBounds: 256 exchanges of a family wait at once, 32 of them of one organisation,
// and the client has connections for three families.
func TestFamilyBounds(t *testing.T) {
	each := func(i int) string { return fmt.Sprint("org", i) }
	for name, c := range map[string]struct {
		of   func(i int) string
		most int
		want error
	}{
		"of unknown ones":     {func(int) string { return "" }, 256, errBusy},
		"of many":             {each, 256, errBusy},
		"of one organisation": {func(int) string { return "org" }, 32, errShare},
	} {
		f := newFamily(name, time.Now, slog.New(slog.DiscardHandler))
		for i := range c.most {
			if err := f.enter(c.of(i)); err != nil {
				t.Fatalf("%s: exchange %d of %d: %v, want it to begin", name, i+1, c.most, err)
			}
		}
		if err := f.enter(c.of(c.most)); !errors.Is(err, c.want) {
			t.Errorf("%s: one more than %d: %v, want %v", name, c.most, err, c.want)
		}
		f.leave(c.of(0))
		if err := f.enter(c.of(0)); err != nil {
			t.Errorf("%s: after one has ended: %v, want it to begin", name, err)
		}
	}
	if MaxExchanges != 3*256 {
		t.Errorf("%d connections, want 768", MaxExchanges)
	}
}
