package cel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// compileFile checks the expression of a file.
func compileFile(path string, limit uint64) (*program, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return compile(string(text), place{source: path, line: 1}, limit)
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
