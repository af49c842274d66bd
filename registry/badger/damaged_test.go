package badger

import (
	"os"
	"testing"
)

// TestDamagedLog: one flipped bit, a missing or an empty file is no reason to start
// with fewer clients than were registered.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, dir string){
		"a flipped bit": func(t *testing.T, dir string) {
			alter(t, newest(t, dir, "mem"), func(data []byte) []byte { data[100] ^= 1; return data })
		},
		"missing": func(t *testing.T, dir string) {
			if err := os.Remove(newest(t, dir, "mem")); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, dir string) {
			alter(t, newest(t, dir, "mem"), func([]byte) []byte { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := image(t)
			harm(t, dir)
			s, err := open(Options{Dir: dir}, small)
			if err == nil {
				t.Errorf("opened, with client/4: %v", lookup(t, s, "client/4"))
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
