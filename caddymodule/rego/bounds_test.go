package rego

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

// TestSizesOfPolicies: a policy has 1,000 files at most, 1 MiB of Rego and 8 MiB of data.
func TestSizesOfPolicies(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int64
		more  string // of which there is one byte, or one file, too many
	}{
		{"a.rego", []int64{1 << 20}, ""},
		{"a.rego", []int64{1<<20 - 1, 1}, ""},
		{"a.rego", []int64{1<<20 - 1, 2}, "more than 1048576 bytes of Rego"},
		{"a.json", []int64{8 << 20}, ""},
		{"a.json", []int64{1, 8 << 20}, "more than 8388608 bytes of data"},
		{"a.json", make([]int64, 1000), ""},
		{"a.json", make([]int64, 1001), "more than 1000 files"},
	} {
		s, err := new(sources), error(nil)
		for _, size := range c.sizes {
			if err != nil {
				t.Errorf("%s: got %v before the last of %d files", c.name, err, len(c.sizes))
			}
			err = s.count(c.name, size)
		}
		if (err == nil) != (c.more == "") || err != nil && !strings.Contains(err.Error(), c.more) {
			t.Errorf("%s, %d files: got %v, want %q", c.name, len(c.sizes), err, c.more)
		}
	}
}

// TestSizesOfBundles: a bundle has 9 MiB at most, and unpacked not much more, whatever the
// headers of its files hold.
func TestSizesOfBundles(t *testing.T) {
	const most = "more than 9437184 bytes"
	for size, large := range map[int]bool{9 << 20: false, 9<<20 + 1: true} {
		if err := new(sources).weigh(make([]byte, size)); err == nil || strings.Contains(err.Error(), most) != large {
			t.Errorf("%d bytes: got %v, want %s: %t", size, err, most, large)
		}
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for i := range 11 { // of 1 MiB each
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint(i, ".json"), PAXRecords: map[string]string{"X.x": strings.Repeat("x", 1<<20-1024)}}); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	if err := new(sources).weigh(packed.Bytes()); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("11 MiB unpacked: got %v, want it too large", err)
	}
}

// TestLongChainsOfVariables: a claim that a request lacks denies also where it is read
// through seventeen variables, each the one before. With more a policy does not load.
func TestLongChainsOfVariables(t *testing.T) {
	chain := "v1 := input.ssa.org; "
	for i := 2; i <= 17; i++ {
		chain += fmt.Sprintf("v%d := v%d; ", i, i-1)
	}
	if _, err := provisioned(t, `deny contains "x" if { `+chain+`v18 := v17; v18.gone == 1 }`); err == nil || !strings.Contains(err.Error(), "more than 16 variables") {
		t.Errorf("eighteen: got %v, want more than 16 variables", err)
	}
	p := load(t, `deny contains "x" if { `+chain+`v17.gone == 1 }`)
	if d := ask(t, p, input(t)); d.Allowed || d.Fault == nil || !strings.Contains(d.Fault.Error(), "input.ssa.org.gone") {
		t.Errorf("got %+v, want a fault about input.ssa.org.gone", d)
	}
}

// TestManyEqualVariables: many variables, each of which is equal to each other one, do not
// load, and take no time: there are n! ways between them.
func TestManyEqualVariables(t *testing.T) {
	for n, want := range map[int]string{5: "", 40: "equal to each other in more than 4096 ways"} {
		text := "v0 := input.ssa.org; "
		for i := range n {
			for j := range i {
				text += fmt.Sprintf("v%d = v%d; ", i, j)
			}
		}
		_, err := provisioned(t, `deny contains "x" if { `+text+`v0.status == 1 }`)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d variables: got %.300v, want %q", n, err, want)
		}
	}
}
