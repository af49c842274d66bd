package caddymodule

import (
	"io/fs"
	"syscall"
	"time"
)

// changed is when anything of a file changed last. Nobody can set that.
func changed(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctim.Unix())
	}
	return info.ModTime()
}
