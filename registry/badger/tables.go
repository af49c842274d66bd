package badger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
)

// tables are what Badger has flushed.
type tables struct {
	files []tableFile
	// newest is the highest version in any of them: the last commit that was flushed.
	newest uint64
	// chain is the chain's entry of the highest version, and at that version, where
	// there is one.
	chain   chainValue
	chained bool
	at      uint64
	// size is that of all files in bytes.
	size int64
}

type tableFile struct {
	path        string
	id          uint64
	compression options.CompressionType
	smallest    []byte
	newest      uint64
	size        int64
}

// manifestName is Badger's list of its tables.
const manifestName = badger.ManifestFilename

// readTables reads the list of tables, the end of each, and the chain's entries.
// Badger verifies the rest when it opens them.
func readTables(dir string) (*tables, error) {
	manifest, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	t := &tables{}
	for id, entry := range manifest.Tables {
		f := tableFile{path: table.NewFilename(id, dir), id: id, compression: entry.Compression}
		if err := f.readIndex(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		t.files = append(t.files, f)
		t.newest = max(t.newest, f.newest)
		t.size += f.size
	}
	links := newLinks()
	for _, f := range t.files {
		// Few: keys of other owners are greater.
		if string(f.smallest) > chainKey {
			continue
		}
		if err := t.readChain(f, links); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return t, links.check()
}

func readManifest(dir string) (badger.Manifest, error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err != nil {
		return badger.Manifest{}, err
	}
	defer f.Close()
	manifest, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return badger.Manifest{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return manifest, nil
}

var errTable = errors.New("the table is damaged")

// readIndex reads the footer of the file: index, its length, a checksum, its length.
// Badger ends the process where that is damaged.
func (f *tableFile) readIndex() (err error) {
	defer catch(&err)
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	f.size = end
	back := func(n int64) ([]byte, error) {
		if end -= n; end < 0 || n < 0 {
			return nil, errTable
		}
		b := make([]byte, n)
		_, err := file.ReadAt(b, end)
		return b, err
	}
	sized := func() ([]byte, error) {
		length, err := back(4)
		if err != nil {
			return nil, err
		}
		return back(int64(binary.BigEndian.Uint32(length)))
	}
	sum, err := sized()
	if err != nil {
		return err
	}
	index, err := sized()
	if err != nil {
		return err
	}
	if expected, ok := parseChecksum(sum); !ok || expected != uint64(crc32.Checksum(index, castagnoli)) {
		return fmt.Errorf("%w: wrong checksum of its index", errTable)
	}
	root := fb.GetRootAsTableIndex(index, 0)
	f.newest = root.MaxVersion()
	var first, last fb.BlockOffset
	if !root.Offsets(&first, 0) || !root.Offsets(&last, root.OffsetsLength()-1) {
		return errTable
	}
	f.smallest = y.ParseKey(first.KeyBytes())
	if f.compression != options.None {
		return nil
	}
	block := make([]byte, last.Len())
	if _, err := file.ReadAt(block, int64(last.Offset())); err != nil {
		return err
	}
	return verifyBlock(block)
}

// verifyBlock looks at a block's end: a checksum of what is before it, and its length.
// Badger reads the last block of a table before it verifies it, and may panic then.
func verifyBlock(block []byte) error {
	at := len(block) - 4
	if at < 0 {
		return errTable
	}
	start := at - int(binary.BigEndian.Uint32(block[at:]))
	if start < 0 || start > at {
		return errTable
	}
	if sum, ok := parseChecksum(block[start:at]); !ok || sum != uint64(crc32.Checksum(block[:start], castagnoli)) {
		return fmt.Errorf("%w: wrong checksum of its last block", errTable)
	}
	return nil
}

// parseChecksum reads Badger's pb.Checksum: field 1 is the algorithm, CRC-32C where it
// is not there, field 2 the sum.
func parseChecksum(b []byte) (sum uint64, ok bool) {
	for len(b) > 0 {
		tag := b[0]
		n, size := binary.Uvarint(b[1:])
		if size <= 0 {
			return 0, false
		}
		switch b = b[1+size:]; {
		case tag == 1<<3 && n == 0:
		case tag == 2<<3:
			sum = n
		default:
			return 0, false
		}
	}
	return sum, true
}

// each calls f for the keys of the table from start on, until it returns false.
func (f tableFile) each(start string, visit func(key string, version uint64, v y.ValueStruct) bool) (err error) {
	defer catch(&err)
	data, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	t, err := table.OpenInMemoryTable(data, f.id, &table.Options{
		BlockSize: 4 << 10, Compression: f.compression, ChkMode: options.NoVerification,
	})
	if err == nil {
		err = t.VerifyChecksum() // else the iterator would take a damaged block for the end
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errTable, err)
	}
	it := t.NewIterator(table.NOCACHE)
	defer it.Close()
	for it.Seek(y.KeyWithTs([]byte(start), math.MaxUint64)); it.Valid(); it.Next() {
		if !visit(string(y.ParseKey(it.Key())), y.ParseTs(it.Key()), it.Value()) {
			return nil
		}
	}
	return nil
}

func (t *tables) readChain(f tableFile, l *links) (err error) {
	reader := linkReader{links: l}
	read := f.each(chainKey, func(key string, version uint64, v y.ValueStruct) bool {
		if key != chainKey {
			return false
		}
		c, ok := parseChainValue(v.Value)
		if !ok {
			return true
		}
		if version > t.at {
			t.chain, t.chained, t.at = c, true, version
		}
		err = reader.add(version, c)
		return err == nil
	})
	return cmp.Or(read, err, reader.end())
}

// catch makes an error of a panic: what reads Badger's tables trusts them.
func catch(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", errTable, p)
	}
}
