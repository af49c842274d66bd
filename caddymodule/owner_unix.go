//go:build unix

package caddymodule

import (
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// owner is who a file belongs to.
type owner struct{ user, group int }

func ownerOf(info fs.FileInfo) (o owner, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return o, false
	}
	return owner{int(stat.Uid), int(stat.Gid)}, true
}

// identity is a user with all of its groups.
type identity struct {
	user   int
	groups []int
}

// thisUser is who this process runs as.
func thisUser() identity {
	groups, err := os.Getgroups()
	if err != nil {
		groups = nil // as without them
	}
	return identity{os.Geteuid(), append(groups, os.Getegid())}
}

func (i identity) String() string { return userName(i.user) }

// mayChange tells whether i may make files in a directory with this owner and mode, as
// far as these tell.
func (o owner) mayChange(i identity, mode fs.FileMode) bool { return o.may(i, mode, 3) }

// mayWrite tells whether i may read and write a file.
func (o owner) mayWrite(i identity, mode fs.FileMode) bool { return o.may(i, mode, 6) }

func (o owner) may(i identity, mode, what fs.FileMode) bool {
	switch {
	case i.user == 0:
		return true
	case i.user == o.user:
		what <<= 6
	case slices.Contains(i.groups, o.group):
		what <<= 3
	}
	return mode&what == what
}

func (o owner) String() string { return userName(o.user) }

func userName(id int) string {
	number := strconv.Itoa(id)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

// rootBeside is the user that a file belongs to, where root runs this process and the file
// is another user's: what root makes beside it, that user cannot open.
func rootBeside(info fs.FileInfo) (user string, is bool) {
	o, known := ownerOf(info)
	return o.String(), known && o.user != 0 && os.Geteuid() == 0
}
