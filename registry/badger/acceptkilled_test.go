package badger

import (
	"errors"
	"testing"
)

// TestKilledWhileAccepting ends the process at each step of an acceptance: what is left
// is refused, or opens with the store told of the loss, but never opens without.
func TestKilledWhileAccepting(t *testing.T) {
	skipLong(t)
	original := harmed(t)
	word := lossOf(t, original).word
	for _, point := range []string{"store: set aside", "store: cut off", "store: committed", "store: loss told"} {
		t.Run(point, func(t *testing.T) {
			_, left := acceptedAndKilled(t, original, word, point)
			for _, accept := range []string{"", word} {
				dir := copyFolder(t, left)
				s, err := open(Options{Dir: dir, AcceptLoss: accept}, small)
				if err != nil {
					t.Fatalf("with accept_loss %q: %v", accept, err)
				}
				if entries := losses(t, s); len(entries) != 1 || entries[0].Key != lossPrefix+word {
					t.Errorf("with accept_loss %q the store is told %q", accept, entries)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if begun, err := pending(dir); err != nil || len(begun) > 0 {
					t.Errorf("the acceptance has not ended: %v, %v", begun, err)
				}
			}
		})
	}
}

// TestPendingAcceptanceIsForItsLoss: what a process has begun to accept is not another loss,
// which came before the next start.
func TestPendingAcceptanceIsForItsLoss(t *testing.T) {
	original := harmed(t)
	word := lossOf(t, original).word
	_, left := acceptedAndKilled(t, original, word, "store: set aside")
	log := newest(t, left, "mem")
	w, err := readWAL(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := flip(int64(w.commits[1].begins) + 40)(log); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"", word} {
		if s, err := open(Options{Dir: left, AcceptLoss: accept}, small); !errors.Is(err, ErrLoss) {
			t.Errorf("with accept_loss %q: %v", accept, err)
			if err == nil {
				t.Errorf("opened (close: %v), want an error", s.Close())
			}
		}
	}
}

// acceptedAndKilled accepts a loss in a copy of a directory, and copies what a kill at a
// point would have left; no point is none.
func acceptedAndKilled(t *testing.T, original, word, point string) (accepted, left string) {
	t.Helper()
	accepted = copyFolder(t, original)
	crashpoint = func(name string) {
		if name == point && left == "" {
			left = copyFolder(t, accepted)
		}
	}
	defer func() { crashpoint = func(string) {} }()
	s, err := open(Options{Dir: accepted, AcceptLoss: word}, small)
	if err != nil {
		t.Fatal(err)
	}
	crashpoint = func(string) {}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if point != "" && left == "" {
		t.Fatal("the point was not reached")
	}
	return accepted, left
}
