//go:build linux || darwin || freebsd

package badger

import "syscall"

// free is the room that the directory's disk has for this process (less than
// root's, where the file system keeps a reserve).
func free(dir string) (bytes uint64, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	// The fields' types differ between systems; the number of blocks may be negative.
	return uint64(max(int64(stat.Bavail), 0)) * uint64(stat.Bsize), true
}
