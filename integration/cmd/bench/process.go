package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/<pid>/stat. The kernel shows them at 100 Hz
// on every architecture that Go knows, whatever its own clock (USER_HZ).
const tick = time.Second / 100

// cpuTime is what a process has used so far, user and system, all threads.
func cpuTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; proc_pid_stat(5) counts from 1.
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	const firstAfterName, utime, stime = 3, 14, 15
	if len(fields) <= stime-firstAfterName {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, raw)
	}
	var ticks int64
	for _, at := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[at-firstAfterName], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// memory of a process, in bytes.
type memory struct {
	// resident is VmRSS; anonymous is the part that no file stands behind.
	resident, anonymous int64
	// proportional counts pages that several processes share by their share, 0
	// where the kernel does not tell.
	proportional int64
}

func memoryOf(pid int) (memory, error) {
	var m memory
	status := fmt.Sprintf("/proc/%d/status", pid)
	if err := readSizes(status, map[string]*int64{"VmRSS": &m.resident, "RssAnon": &m.anonymous}); err != nil {
		return m, err
	}
	if m.resident == 0 {
		return m, fmt.Errorf("%s has no VmRSS", status)
	}
	err := readSizes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), map[string]*int64{"Pss": &m.proportional})
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		err = nil
	}
	return m, err
}

// readSizes reads lines like "VmRSS:  1234 kB".
func readSizes(file string, to map[string]*int64) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(raw) {
		name, value, _ := strings.Cut(string(line), ":")
		bytes, ok := to[name]
		if !ok {
			continue
		}
		kilo, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %q: %w", file, line, err)
		}
		*bytes = kilo << 10
	}
	return nil
}
