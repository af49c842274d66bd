package badger

import "fmt"

const (
	// memtable is what Badger gathers in memory before it writes a table, in bytes.
	memtable = 8 << 20
	// fillingMemtable is that of a store that is being filled: with memtable, compactions
	// rewrite each record several times, and a restore takes twice as long.
	fillingMemtable = 64 << 20
)

// memtableIn is the size of memtables for a directory. A process that was killed while it
// filled the store leaves logs that a smaller memtable has no room for: Badger ends the
// process over that. A log is mapped at twice the size of its memtable.
func memtableIn(dir string, filling bool) (int64, error) {
	if filling {
		return fillingMemtable, nil
	}
	logs, err := numberedFiles(dir, ".mem")
	if err != nil {
		return 0, err
	}
	var size int64 = memtable
	for _, l := range logs {
		info, err := l.entry.Info()
		if err != nil {
			return 0, fmt.Errorf("registry/badger: %w", err)
		}
		if info.Size() > 2*memtable {
			size = fillingMemtable
		}
	}
	return size, nil
}
