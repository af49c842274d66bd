package rego

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Bounds of one policy.
const (
	maxFiles  = 1000
	maxSource = 1 << 20 // bytes of Rego
	maxData   = 8 << 20 // bytes of data
)

// sources is what was read of a policy.
type sources struct {
	from string
	// rego are the files, by the names that errors have.
	rego  map[string]string
	data  map[string]any
	files int
	// size of rego and data.
	source, other int64
}

// count adds a file, within the bounds.
func (s *sources) count(name string, size int64) error {
	s.files++
	if strings.HasSuffix(name, ".rego") {
		s.source += size
	} else {
		s.other += size
	}
	switch {
	case s.files > maxFiles:
		return fmt.Errorf("%s: more than %d files", s.from, maxFiles)
	case s.source > maxSource:
		return fmt.Errorf("%s: more than %d bytes of Rego", s.from, maxSource)
	case s.other > maxData:
		return fmt.Errorf("%s: more than %d bytes of data", s.from, maxData)
	}
	return nil
}

func readFile(name string) (*sources, error) {
	s := &sources{from: name, rego: map[string]string{}}
	text, err := s.text(name)
	s.rego[name] = text
	return s, err
}

// text reads a file within the bounds.
func (s *sources) text(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return "", err
	}
	if err := s.count(name+".rego", int64(len(text))); err != nil {
		return "", err
	}
	if at, err := verify.CheckPolicyFile(text); err != nil {
		return "", fmt.Errorf("%s:%d: %w", name, 1+bytes.Count(text[:at], []byte("\n")), err)
	}
	return string(text), nil
}

// readDirectory reads Rego itself, for its names, and leaves data to OPA's loader.
func readDirectory(directory string) (*sources, error) {
	directory, err := filepath.EvalSymlinks(directory)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(directory); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s: is no directory", directory)
	}
	s := &sources{from: directory, rego: map[string]string{}}
	data := false
	err = eachFile(directory, func(name string, isFolder bool) error {
		switch {
		case isFolder:
			return nil
		case filepath.Ext(name) == ".rego":
			s.rego[name], err = s.text(name)
			return err
		case isData(name):
			data = true
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			return s.count(name, info.Size())
		}
		return nil
	})
	if err != nil || !data {
		return s, err
	}
	loaded, err := loader.NewFileLoader().WithFS(os.DirFS(directory)).Filtered([]string{"."}, func(name string, info fs.FileInfo, depth int) bool {
		return depth > 0 && (hidden(name) || !info.IsDir() && !isData(name))
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", directory, err)
	}
	s.data = loaded.Documents
	return s, nil
}

// filesOf are the files of a directory that count, and its folders.
func filesOf(directory string) (names []string, err error) {
	if directory, err = filepath.EvalSymlinks(directory); err != nil {
		return nil, err
	}
	err = eachFile(directory, func(name string, isFolder bool) error {
		if isFolder || filepath.Ext(name) == ".rego" || isData(name) {
			names = append(names, name)
		}
		if len(names) > 2*maxFiles {
			return fmt.Errorf("%s: more than %d files and folders", directory, 2*maxFiles)
		}
		return nil
	})
	return names, err
}

// eachFile visits what is in a directory, and itself, but for what is hidden.
func eachFile(directory string, visit func(name string, isFolder bool) error) error {
	return filepath.WalkDir(directory, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == directory || !hidden(name):
			return visit(name, entry.IsDir())
		case entry.IsDir():
			return fs.SkipDir
		}
		return nil
	})
}

func hidden(name string) bool { return strings.HasPrefix(filepath.Base(name), ".") }

func isData(name string) bool {
	return slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(name))
}

func readBundle(name string) (*sources, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed, err := io.ReadAll(io.LimitReader(f, maxSource+maxData+1))
	if err != nil {
		return nil, err
	}
	s := &sources{from: name, rego: map[string]string{}}
	if err := s.weigh(packed); err != nil {
		return nil, err
	}
	b, err := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(packed), "")).
		WithSkipBundleVerification(true).WithSizeLimitBytes(maxData).WithCapabilities(capabilities()).WithRegoVersion(ast.RegoV1).Read()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(b.WasmModules)+len(b.Wasm)+len(b.PlanModules) > 0:
		return nil, fmt.Errorf("%s: holds compiled rules; build it without --target", name)
	case len(b.Patch.Data) > 0:
		return nil, fmt.Errorf("%s: is a delta bundle", name)
	}
	for _, m := range b.Modules {
		s.rego[name+":"+strings.TrimPrefix(m.Path, "/")] = string(m.Raw)
	}
	s.data = b.Data
	return s, nil
}

// weigh reads a bundle once for its size alone: a small one may be large unpacked.
func (s *sources) weigh(packed []byte) error {
	if len(packed) > maxSource+maxData {
		return fmt.Errorf("%s: more than %d bytes", s.from, maxSource+maxData)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("%s: %w", s.from, err)
	}
	limit := &io.LimitedReader{R: z, N: maxSource + maxData + maxFiles*2048}
	for t := tar.NewReader(limit); ; {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case limit.N <= 0:
			return fmt.Errorf("%s: too large", s.from)
		case err != nil:
			return fmt.Errorf("%s: %w", s.from, err)
		}
		if err := s.count(h.Name, h.Size); err != nil {
			return err
		}
	}
}
