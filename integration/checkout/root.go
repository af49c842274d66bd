// Package checkout finds the folder of this repository, whose files the tests, the demo
// and the load tests read. Their binaries do not know it: they are built with -trimpath,
// so that Go's cache serves every checkout.
package checkout

import (
	"os"
	"path/filepath"
	"sync"
)

// Root is the repository's folder: the nearest one, from the working directory upwards,
// that has an xcaddy.json. go test runs a test in the folder of its package. Root panics
// outside a checkout.
var Root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for above := dir; ; above = filepath.Dir(above) {
		if _, err := os.Stat(filepath.Join(above, "xcaddy.json")); err == nil {
			return above
		}
		if above == filepath.Dir(above) {
			panic(dir + " is not in a checkout of caddy-dcr: no folder above it has an xcaddy.json")
		}
	}
})
