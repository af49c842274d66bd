package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// shared is an address on which a process listens with more than one socket, and "" if
// there is none. While Caddy loads a configuration there are two of each address: the
// system gives a connection to either, and the server that ends drops some of those that
// it gets.
func shared(pid int) (string, error) {
	own, err := sockets(pid)
	if err != nil {
		return "", err
	}
	seen := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a system without IPv6
		}
		if err != nil {
			return "", err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			// Columns of proc_pid_net(5): the local address is the second, the state the
			// fourth (0A is LISTEN), the inode the tenth.
			columns := strings.Fields(lines.Text())
			if len(columns) < 10 || columns[3] != "0A" || !own[columns[9]] {
				continue
			}
			if seen[columns[1]] {
				return columns[1], nil
			}
			seen[columns[1]] = true
		}
		if err := lines.Err(); err != nil {
			return "", err
		}
	}
	return "", nil
}

// sockets are the inodes of a process's sockets.
func sockets(pid int) (map[string]bool, error) {
	descriptors := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(descriptors)
	if err != nil {
		return nil, err
	}
	inodes := map[string]bool{}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(descriptors, entry.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes, nil
}
