//go:build !linux

package e2e_test

import "testing"

// TestDisk stands for the tests of full and read-only disks, which mount and give up
// rights in Linux's way.
func TestDisk(t *testing.T) {
	t.Skip("left out: full and read-only disks, which only Linux lets these tests have")
}
