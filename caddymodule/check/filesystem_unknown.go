//go:build !linux

package check

// kind is what a file system is.
type kind int

const (
	local kind = iota
	memory
	network
)

func fileSystem(string) kind { return local }

func freeRoom(string) (bytes uint64, known bool) { return 0, false }
