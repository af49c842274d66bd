//go:build linux || darwin || freebsd

package badger

import (
	"io/fs"
	"os"
	"syscall"
)

// size is what the files of a directory take on the disk: Badger maps files that are mostly
// holes. Folders do not count, and nor does a file that goes meanwhile.
func size(dir string) (bytes uint64, known bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, false
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.Type()&fs.ModeType != 0 {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += uint64(max(int64(stat.Blocks), 0)) * 512 // st_blocks is in units of 512 bytes
		}
	}
	return bytes, true
}
