//go:build linux || darwin || freebsd

package badger

import "syscall"

// spareFiles are those that Badger may begin for one batch and what it flushes then.
const spareFiles = 16

// free is the room that the directory's disk has for this process (less than
// root's, where the file system keeps a reserve). A disk that takes no more files
// has none, however many blocks there are; some file systems do not count files.
func free(dir string) (bytes uint64, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	if stat.Files > 0 && uint64(stat.Ffree) < spareFiles {
		return 0, true
	}
	// The fields' types differ between systems; the number of blocks may be negative.
	return uint64(max(int64(stat.Bavail), 0)) * uint64(stat.Bsize), true
}
