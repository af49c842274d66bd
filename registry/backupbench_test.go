package registry_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

// benchmarkClients is how many clients the store of the benchmarks has: 240 MB.
const benchmarkClients = 20_000

// clientsOnDisk fills a store with what registrations leave, at the sizes that they have:
// record, request with its statement, certificate, indexes, a used token and jti, and an
// entry of the audit trail.
func clientsOnDisk(b *testing.B, s registry.Store) {
	b.Helper()
	random := make([]byte, 6<<10)
	rand.Read(random)
	text := []byte(base64.RawURLEncoding.EncodeToString(random))
	end := time.Now().Add(24 * time.Hour)
	var writers sync.WaitGroup
	for n := range 8 {
		writers.Go(func() {
			for i := n; i < benchmarkClients; i += 8 {
				id := fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i)
				err := s.Update(context.Background(), func(w registry.Writer) error {
					record := fmt.Appendf(nil, `{"v":1,"id":%q,"status":"active","client_name":"%s"}`, id, text[:1400])
					if err := w.Put("client/w/"+id, record); err != nil {
						return err
					}
					for key, size := range map[string]int{"document/": 8000, "certificate/": 1500, "id/w/": 36, "software/w/d/": 40} {
						if err := w.Put(key+id, text[:size]); err != nil {
							return err
						}
					}
					for _, index := range []string{"time/w/", "software/w/s/", "organisation/w/o/", "subject/w/n/", "certificate/w/c/"} {
						if err := w.Put("index/"+index+id, []byte{}); err != nil {
							return err
						}
					}
					for key, size := range map[string]int{"token/w/": 80, "jti/w/i/": 80, "audit/w/0/": 500} {
						if err := w.PutExpiring(key+id, text[:size], end); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}

func openBadger(b *testing.B) registry.Store {
	b.Helper()
	s, err := badger.Open(badger.Options{Dir: filepath.Join(b.TempDir(), "store")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return lasting{s}
}

// BenchmarkBackup writes a backup of a store on disk, and restores it into another.
func BenchmarkBackup(b *testing.B) {
	k, _, err := registry.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	s := openBadger(b)
	clientsOnDisk(b, s)
	file, err := os.Create(filepath.Join(b.TempDir(), "backup"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			r, err := registry.Open(b.Context(), registry.Options{Store: s, Sealer: k})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				b.Fatal(err)
			}
			var last registry.BackupProgress
			if _, err := r.Backup(b.Context(), file, func(p registry.BackupProgress) { last = p }); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(last.Bytes)
			if err := r.Close(); err != nil {
				b.Error(err)
			}
		}
	})
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			var last registry.BackupProgress
			o := registry.Restoration{From: file, Store: openBadger(b), Sealer: k, Progress: func(p registry.BackupProgress, _ bool) { last = p }}
			if _, err := registry.Restore(b.Context(), o); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(last.Bytes)
		}
	})
}
