package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine tells what the figures depend on, so that two runs can be compared:
// a machine that others use too is slower, in CPU time as well, where cores
// share what they calculate with.
func (b *bench) machine() error {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return fmt.Errorf("the figures come from Linux's /proc: %w", err)
	}
	verify, err := verifyTime()
	if err != nil {
		return err
	}
	sync, err := syncTime(b.dir)
	if err != nil {
		return err
	}
	b.table.section("%s, %d CPUs, %s/%s", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	b.table.told("load average before", "%s", strings.Join(strings.Fields(string(load))[:3], " "))
	b.table.told("PS256 verification, RSA-2048, median", "%.1f us", 1e6*verify.Seconds())
	b.table.told("write and sync 4 KB, median", "%.2f ms", 1e3*sync.Seconds())
	return nil
}

// verifyTime is what one signature of a registration takes here; there are two.
func verifyTime() (time.Duration, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256([]byte("registration"))
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil)
	if err != nil {
		return 0, err
	}
	return medianTime(2000, func() error { return rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, sum[:], signature, nil) })
}

// syncTime is how long this disk takes to write 4 KB durably: what a
// registration waits for twice.
func syncTime(dir string) (took time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4<<10)
	return medianTime(200, func() error {
		_, err := f.Write(block)
		return errors.Join(err, f.Sync())
	})
}

func medianTime(times int, f func() error) (time.Duration, error) {
	all := make([]time.Duration, times)
	for i := range all {
		began := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		all[i] = time.Since(began)
	}
	slices.Sort(all)
	return quantile(all, 0.5), nil
}
