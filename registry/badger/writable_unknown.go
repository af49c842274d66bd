//go:build !linux

package badger

// mayWrite is not known here, and the first commit that needs a new file fails.
func mayWrite(string) bool { return true }
