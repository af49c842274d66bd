package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// headName is the file in the store's directory that says what the store held last.
const headName = "HEAD"

// HEAD has three slots; the one with the highest generation and a good checksum counts.
//
//	magic 8 | generation 8 | sequence 8 | link 8 | time 8 | length of the list 4 | list | checksum 4
//
// It is written after each commit and before its answers, and synced later, so a power
// failure may set it back to what it was a second before. While one slot is written and
// another one synced, the third stays as it is on the disk: whichever pages a power
// failure tears, one slot is good. A HEAD with torn slots is made anew when the store is
// opened. Its size never changes, and a power failure does not change it.
const (
	headMagic  = "dcrhead1"
	headSlots  = 3
	slotSize   = 4096
	headFixed  = 8 + 8 + 8 + 8 + 8 + 4
	maxList    = slotSize - headFixed - crc32.Size
	noList     = 1<<32 - 1
	headEvery  = time.Second
	headOfFile = headSlots * slotSize
)

// head is what a slot says.
type head struct {
	mark
	generation uint64
	// values are the files of the value log, ascending, where listed is true.
	values []uint32
	listed bool
	// list is values as it is in the file.
	list []byte
}

// bound tells whether the store has a chain. Before its first commit it has none.
func (h *head) bound() bool { return h.link != link{} }

func (h *head) append(b []byte) []byte {
	b = append(b, headMagic...)
	b = binary.BigEndian.AppendUint64(b, h.generation)
	b = binary.BigEndian.AppendUint64(b, h.sequence)
	b = append(b, h.link[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.time))
	length := uint32(len(h.list))
	if !h.listed {
		length = noList
	}
	b = binary.BigEndian.AppendUint32(b, length)
	b = append(b, h.list...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseHead reads one slot.
func parseHead(slot []byte) (h head, ok bool) {
	if len(slot) < headFixed+crc32.Size || string(slot[:8]) != headMagic {
		return h, false
	}
	length := binary.BigEndian.Uint32(slot[40:])
	h.listed = length != noList
	if !h.listed {
		length = 0
	}
	if length > maxList || headFixed+int(length)+crc32.Size > len(slot) {
		return h, false
	}
	end := headFixed + int(length)
	if crc32.Checksum(slot[:end], castagnoli) != binary.BigEndian.Uint32(slot[end:]) {
		return h, false
	}
	h.generation = binary.BigEndian.Uint64(slot[8:])
	h.sequence = binary.BigEndian.Uint64(slot[16:])
	copy(h.link[:], slot[24:])
	h.time = int64(binary.BigEndian.Uint64(slot[32:]))
	h.list = append([]byte(nil), slot[headFixed:end]...)
	h.values, ok = parseList(h.list)
	return h, ok
}

// setValues lists files of the value log, which are ascending: each as the distance
// from the one before.
func (h *head) setValues(files []uint32) {
	h.values, h.listed, h.list = files, true, nil
	var last uint32
	for _, f := range files {
		h.list = binary.AppendUvarint(h.list, uint64(f-last))
		last = f
	}
	if len(h.list) > maxList { // 60 GB of documents
		h.values, h.listed, h.list = nil, false, nil
	}
}

func parseList(list []byte) (files []uint32, ok bool) {
	var last uint32
	for len(list) > 0 {
		n, size := binary.Uvarint(list)
		if size <= 0 || n > 1<<31 {
			return nil, false
		}
		last += uint32(n)
		files, list = append(files, last), list[size:]
	}
	return files, true
}

// headRead is what was read of the file.
type headRead struct {
	// newest is the good slot that counts, at its place; nil where there is none.
	newest *head
	at     int
	// exists tells that there is a file. Its size is durable before the first commit, so
	// that harm, a file of another size, is none of a power failure's.
	exists bool
	harm   string
	// whole tells that every slot is good. A power failure may have torn two.
	whole bool
}

func readHead(dir string) (r headRead, err error) {
	f, err := os.Open(filepath.Join(dir, headName))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("registry/badger: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, headOfFile+1))
	if err != nil {
		return r, fmt.Errorf("registry/badger: %s: %w", f.Name(), err)
	}
	r.exists = true
	switch {
	case len(data) < headOfFile:
		r.harm = fmt.Sprintf("it has %d bytes of %d", len(data), headOfFile)
	case len(data) > headOfFile:
		r.harm = fmt.Sprintf("it has more than %d bytes", headOfFile)
	}
	good := 0
	for slot := 0; slot < headSlots && (slot+1)*slotSize <= len(data); slot++ {
		h, ok := parseHead(data[slot*slotSize : (slot+1)*slotSize])
		if !ok {
			continue
		}
		good++
		if r.newest == nil || h.generation > r.newest.generation {
			r.newest, r.at = &h, slot
		}
	}
	r.whole = r.harm == "" && good == headSlots
	return r, nil
}

// createHead makes the file, durably, before the first commit that it is about, or anew
// where it was not whole: every slot says the same.
func createHead(dir string, h head) error {
	h.generation = max(h.generation, 1)
	data := make([]byte, headOfFile)
	for slot := range headSlots {
		copy(data[slot*slotSize:], h.append(nil))
	}
	f, err := os.CreateTemp(dir, ".head-*")
	if err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, headName))
	}
	if err != nil {
		return fmt.Errorf("registry/badger: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return syncDirectory(dir)
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("registry/badger: %s: %w", dir, err)
	}
	return nil
}

// headFile writes HEAD while the store is open.
type headFile struct {
	dir  string
	file *os.File

	mu   sync.Mutex // over what follows, never over a sync
	head head
	slot int
	buf  []byte
	// unsynced tells that something was written since the last sync, written says so.
	unsynced bool
	written  chan struct{}
}

func openHead(dir string, h head, slot int) (*headFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, headName), os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("registry/badger: %w", err)
	}
	// The slot that was read may be the only one that is on the disk.
	return &headFile{dir: dir, file: f, head: h, slot: (slot + 1) % headSlots, written: make(chan struct{}, 1)}, nil
}

// commit writes m as the last commit.
func (f *headFile) commit(m mark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.mark = m
	return f.write()
}

// write writes the slot in place. It asks for no room: the file has its size.
func (f *headFile) write() error {
	f.head.generation++
	f.buf = f.head.append(f.buf[:0])
	if !f.unsynced {
		f.unsynced = true
		select {
		case f.written <- struct{}{}:
		default:
		}
	}
	if _, err := f.file.WriteAt(f.buf, int64(f.slot)*slotSize); err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	return nil
}

// listValues writes which files the value log has, where that has changed.
func (f *headFile) listValues() error {
	files, err := valueFiles(f.dir)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	numbers := files.numbers()
	if f.head.listed && slices.Equal(f.head.values, numbers) {
		return nil
	}
	f.head.setValues(numbers)
	return f.write()
}

// sync brings what was written to the disk. Commits go on in the next slot.
func (f *headFile) sync() error {
	f.mu.Lock()
	if !f.unsynced {
		f.mu.Unlock()
		return nil
	}
	f.unsynced = false
	f.slot = (f.slot + 1) % headSlots
	f.mu.Unlock()
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	return nil
}
