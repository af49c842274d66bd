package backup_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry/backup"
)

// sealer stands for the keyset, with one key. registry.Keyset is tested where it is.
type sealer string

func (s sealer) aead() cipher.AEAD {
	sum := sha256.Sum256([]byte(s))
	block, _ := aes.NewCipher(sum[:])
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	return aead
}

func (s sealer) Seal(secret []byte, context string) ([]byte, error) {
	return s.aead().Seal(nil, nil, secret, []byte(context)), nil
}

func (s sealer) Open(sealed []byte, context string) ([]byte, error) {
	return s.aead().Open(nil, nil, sealed, []byte(context))
}

const keyset = sealer("ours")

var at = time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)

func headerOf(records []backup.Record) backup.Header {
	h := backup.Header{Schema: 1, Time: at, Sequence: 12, KeysetIDs: []uint32{7}, Workspaces: []string{"default/obuk"}, Counts: map[string]int64{}}
	for _, r := range records {
		h.Counts[backup.Kind(r.Key)]++
	}
	return h
}

// written is a backup of the records.
func written(t testing.TB, records []backup.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, keyset, headerOf(records))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Records() != int64(len(records)) || w.Bytes() != int64(b.Len()) {
		t.Errorf("got %d records of %d bytes, want %d of %d", w.Records(), w.Bytes(), len(records), b.Len())
	}
	return b.Bytes()
}

// read reads a backup to its end; the error is nil where it is whole.
func read(from io.Reader, s backup.Sealer) (backup.Header, []backup.Record, error) {
	r, err := backup.NewReader(from, s)
	if err != nil {
		return backup.Header{}, nil, err
	}
	var records []backup.Record
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Header, records, nil
		}
		if err != nil {
			if _, again := r.Next(); !errors.Is(again, err) {
				return r.Header, records, fmt.Errorf("after %w came %w", err, again)
			}
			return r.Header, records, err
		}
		records = append(records, record)
	}
}

var few = []backup.Record{
	{Key: "client/a/1", Value: []byte(`{"v":1}`)},
	{Key: "jti/a/1", Value: []byte("x"), Expires: at.Add(time.Hour)},
	{Key: "jti/a/2", Value: []byte{}, Expires: time.Unix(-62135596000, 999999999)},
	{Key: "store", Value: []byte("no slash")},
	{Key: "x\xff/\x00", Value: bytes.Repeat([]byte{0}, 300)},
}

// many is more than several segments, with one record that is as large as any may be.
func many() (records []backup.Record) {
	for n := range 400 {
		records = append(records, backup.Record{Key: fmt.Sprintf("document/%04d", n), Value: bytes.Repeat([]byte{byte(n)}, n*3)})
	}
	return append(records, backup.Record{Key: "large", Value: make([]byte, 1<<20)})
}

func TestBackupIsReadAsWritten(t *testing.T) {
	for name, want := range map[string][]backup.Record{"none": nil, "few": few, "many": many()} {
		t.Run(name, func(t *testing.T) {
			file := written(t, want)
			for how, from := range map[string]io.Reader{"at once": bytes.NewReader(file), "by bytes": iotest.OneByteReader(bytes.NewReader(file)), "with the end": iotest.DataErrReader(bytes.NewReader(file))} {
				h, got, err := read(from, keyset)
				if err != nil || !reflect.DeepEqual(h, headerOf(want)) {
					t.Fatalf("%s: got %+v, %v, want %+v", how, h, err, headerOf(want))
				}
				if !slices.EqualFunc(got, want, same) {
					t.Errorf("%s: got %d records, want the %d that were written", how, len(got), len(want))
				}
			}
			if h, err := backup.ReadHeader(bytes.NewReader(file)); err != nil || !reflect.DeepEqual(h, headerOf(want)) {
				t.Errorf("in clear: got %+v, %v", h, err)
			}
		})
	}
}

func same(a, b backup.Record) bool {
	return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && a.Expires.Equal(b.Expires)
}

// TestNothingIsInClear: neither a key nor a value is found in the file.
func TestNothingIsInClear(t *testing.T) {
	file := written(t, []backup.Record{{Key: "client/very-visible", Value: []byte("very secret")}})
	for _, text := range []string{"very", "secret"} {
		if bytes.Contains(file, []byte(text)) {
			t.Errorf("found %q in the file", text)
		}
	}
}

// TestEveryByteCounts: no byte of a backup can be another one.
func TestEveryByteCounts(t *testing.T) {
	file := written(t, few)
	for n := range file {
		for _, flip := range []byte{1, 0x80, 0xff} {
			altered := bytes.Clone(file)
			altered[n] ^= flip
			if _, _, err := read(bytes.NewReader(altered), keyset); !refused(err) {
				t.Errorf("byte %d of %d with %#x flipped: got %v, want it refused", n, len(file), flip, err)
			}
		}
	}
}

func refused(err error) bool {
	for _, e := range []error{backup.ErrAltered, backup.ErrForeign, backup.ErrNoBackup, backup.ErrNewer} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// TestEveryTruncationIsNoticed: of a small file at every byte, of one with several
// segments around each border of them.
func TestEveryTruncationIsNoticed(t *testing.T) {
	small := written(t, few)
	for n := range small {
		if _, _, err := read(bytes.NewReader(small[:n]), keyset); !refused(err) {
			t.Errorf("%d bytes of %d: got %v, want it refused", n, len(small), err)
		}
	}
	large := written(t, many())
	stream := preludeOf(large)
	for border := stream; border < len(large); border += 64 << 10 {
		for n := border - 40; n < border+40; n++ {
			if n >= len(large) {
				continue
			}
			if _, _, err := read(bytes.NewReader(large[:n]), keyset); !refused(err) {
				t.Errorf("%d bytes of %d: got %v, want it refused", n, len(large), err)
			}
		}
	}
}

// preludeOf is how long the part before the stream is.
func preludeOf(file []byte) int {
	n := len("caddy-dcr backup 1\n")
	for range 2 {
		n += 4 + int(binary.BigEndian.Uint32(file[n:]))
	}
	return n
}

// TestAppendedBytesAreNoticed: also where the last segment is full, and where whole
// segments of the same file, or another backup, come once more.
func TestAppendedBytesAreNoticed(t *testing.T) {
	small, large := written(t, few), written(t, many())
	full := written(t, []backup.Record{{Key: "k", Value: make([]byte, 3*(64<<10))}})
	for name, file := range map[string][]byte{"small": small, "large": large, "full": full} {
		stream := preludeOf(file)
		for what, more := range map[string][]byte{"a zero": {0}, "a line end": []byte("\n"), "itself": file, "its stream": file[stream:], "its last bytes": file[len(file)-100:]} {
			if _, _, err := read(bytes.NewReader(append(bytes.Clone(file), more...)), keyset); !errors.Is(err, backup.ErrAltered) {
				t.Errorf("%s and %s: got %v, want ErrAltered", name, what, err)
			}
		}
	}
}

// TestSegmentsKeepTheirPlace: two segments that change places, one that is missing, and one
// of another backup with the same header are noticed.
func TestSegmentsKeepTheirPlace(t *testing.T) {
	one, other := written(t, many()), written(t, many())
	start, size := preludeOf(one), 64<<10
	segment := func(file []byte, n int) []byte { return file[start+n*size : start+(n+1)*size] }
	swapped := slices.Concat(one[:start], segment(one, 0), segment(one, 2), segment(one, 1), one[start+3*size:])
	missing := slices.Concat(one[:start+size], one[start+2*size:])
	mixed := slices.Concat(one[:start+size], segment(other, 1), one[start+2*size:])
	streams := slices.Concat(one[:start], other[start:])
	for name, file := range map[string][]byte{"swapped": swapped, "missing": missing, "mixed": mixed, "another stream": streams} {
		if _, _, err := read(bytes.NewReader(file), keyset); !errors.Is(err, backup.ErrAltered) {
			t.Errorf("%s: got %v, want ErrAltered", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	file := written(t, few)
	for name, tc := range map[string]struct {
		file []byte
		by   sealer
		want error
	}{
		"another keyset":    {file, "theirs", backup.ErrForeign},
		"empty":             {nil, keyset, backup.ErrNoBackup},
		"a text":            {[]byte(strings.Repeat("hello\n", 100)), keyset, backup.ErrNoBackup},
		"a newer format":    {[]byte("caddy-dcr backup 2\n" + string(file[19:])), keyset, backup.ErrNewer},
		"a tenth format":    {[]byte("caddy-dcr backup 10\n" + string(file[19:])), keyset, backup.ErrNewer},
		"an endless header": {[]byte("caddy-dcr backup 1\n\xff\xff\xff\xff{}"), keyset, backup.ErrAltered},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := read(bytes.NewReader(tc.file), tc.by); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// TestFaultsOfTheFileAreNamed: a file that cannot be read is not called damaged.
func TestFaultsOfTheFileAreNamed(t *testing.T) {
	broken := errors.New("input/output error")
	file := written(t, many())
	for _, n := range []int{0, 5, 21, 300, preludeOf(file), 200 << 10, len(file)} {
		_, _, err := read(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)), keyset)
		if !errors.Is(err, broken) || errors.Is(err, backup.ErrAltered) {
			t.Errorf("after %d bytes: got %v, want %v alone", n, err, broken)
		}
	}
}

// full takes so many bytes and no more.
type full struct{ left int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return f.left, errFull
	}
	f.left -= len(p)
	return len(p), nil
}

// TestFullDisk: wherever the file cannot be written on, the writer says so, and goes on saying it.
func TestFullDisk(t *testing.T) {
	records := many()
	size := len(written(t, records))
	for left := 0; left < size; left += 7777 {
		w, err := backup.NewWriter(&full{left}, keyset, headerOf(records))
		for _, r := range records {
			if err == nil {
				err = w.Put(r)
			}
		}
		if err == nil {
			err = w.Close()
		} else if w != nil && !errors.Is(w.Close(), errFull) {
			t.Errorf("%d bytes: closed without an error after %v", left, err)
		}
		if !errors.Is(err, errFull) {
			t.Errorf("%d bytes of %d: got %v, want %v", left, size, err, errFull)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, records := range map[string][]backup.Record{
		"no key":          {{}},
		"twice":           {{Key: "a"}, {Key: "a"}},
		"descending":      {{Key: "b"}, {Key: "a"}},
		"a long key":      {{Key: strings.Repeat("k", 1<<16+1)}},
		"a large value":   {{Key: "k", Value: make([]byte, 1<<20+1)}},
		"after a refusal": {{}, {Key: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := backup.NewWriter(io.Discard, keyset, backup.Header{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				err = w.Put(r)
			}
			if err == nil || w.Close() == nil {
				t.Errorf("got %v, want an error, and one at the end", err)
			}
		})
	}
}

// TestCountsAreBounds: more records of a kind than the header tells are no backup of ours;
// fewer may have expired.
func TestCountsAreBounds(t *testing.T) {
	for n, want := range map[int64]error{0: backup.ErrAltered, 1: backup.ErrAltered, 2: nil, 3: nil} {
		var b bytes.Buffer
		w, err := backup.NewWriter(&b, keyset, backup.Header{Counts: map[string]int64{"jti": n}})
		if err = errors.Join(err, w.Put(backup.Record{Key: "jti/1"}), w.Put(backup.Record{Key: "jti/2"}), w.Close()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := read(&b, keyset); !errors.Is(err, want) {
			t.Errorf("%d in the header, 2 records: got %v, want %v", n, err, want)
		}
	}
}

// FuzzReader: whatever is read, nothing but what was written comes out of it.
func FuzzReader(f *testing.F) {
	file := written(f, few)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte("caddy-dcr backup 1\n\x00\x00\x00\x02{}\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, records, err := read(bytes.NewReader(text), keyset)
		if err == nil && !slices.EqualFunc(records, few, same) {
			t.Errorf("got %d records of a file that nobody has written", len(records))
		}
		if err != nil && !refused(err) {
			t.Errorf("got %v", err)
		}
		if _, err := backup.ReadHeader(bytes.NewReader(text)); err != nil && !refused(err) {
			t.Errorf("in clear: got %v", err)
		}
	})
}

func benchmarkRecords() (records []backup.Record, size int64) {
	for n := range 20_000 {
		r := backup.Record{Key: fmt.Sprintf("client/default/%08d", n), Value: bytes.Repeat([]byte("0123456789abcdef"), 60)}
		records, size = append(records, r), size+int64(len(r.Key)+len(r.Value))
	}
	return records, size
}

func BenchmarkWriter(b *testing.B) {
	records, size := benchmarkRecords()
	b.SetBytes(size)
	for b.Loop() {
		w, err := backup.NewWriter(io.Discard, keyset, headerOf(records))
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range records {
			if err := w.Put(r); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	records, size := benchmarkRecords()
	file := written(b, records)
	b.SetBytes(size)
	for b.Loop() {
		if _, _, err := read(bytes.NewReader(file), keyset); err != nil {
			b.Fatal(err)
		}
	}
}
