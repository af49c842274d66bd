package cel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// compileFile checks the expression of a file.
func compileFile(path string, limit uint64) (*program, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if at, err := verify.CheckPolicyFile(text); err != nil {
		return nil, fmt.Errorf("file %s: line %d %w", path, 1+bytes.Count(text[:at], []byte("\n")), err)
	}
	return compile(place{text: string(text), source: path, line: 1}, limit)
}

// unreadable names the path that was tried.
func unreadable(path string, err error) error {
	if inner := new(fs.PathError); errors.As(err, &inner) {
		err = inner.Err
	}
	whole, wrong := filepath.Abs(path)
	if wrong != nil || whole == path {
		return fmt.Errorf("file %s: %w", path, err)
	}
	return fmt.Errorf("file %s: %w; tried %s, as a relative path counts from the working directory of the process", path, err, whole)
}
