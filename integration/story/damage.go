package story

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// AcceptLoss is the word that the gateway asks for when it refuses a damaged store.
var AcceptLoss = regexp.MustCompile(`accept_loss ([0-9]+-[0-9a-f]+) in the block of store badger`)

// FlipBit damages what is in the last fifth of the newest log of a store, and names the log.
// The gateway must not run.
func FlipBit(dir string) (log string, err error) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return "", err
	}
	if len(logs) == 0 {
		return "", fmt.Errorf("no log in %s", dir)
	}
	log = slices.Max(logs)
	data, err := os.ReadFile(log)
	if err != nil {
		return "", err
	}
	data[len(bytes.TrimRight(data, "\x00"))*4/5] ^= 1
	return log, os.WriteFile(log, data, 0o600)
}
