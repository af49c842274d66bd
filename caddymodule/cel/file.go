package cel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// compileFile checks the expression of a file.
func compileFile(path string, limit uint64) (*program, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("file %s: %w", path, err)
	}
	return compile(string(text), place{source: path, line: 1}, limit)
}

// checkText refuses what is no plain text in UTF-8, with the line where that begins. CEL
// would tell of characters that nobody sees.
func checkText(text []byte) error {
	switch {
	case bytes.HasPrefix(text, []byte("\xEF\xBB\xBF")):
		return errors.New("it begins with a byte order mark (BOM); save it as UTF-8 without one")
	case bytes.HasPrefix(text, []byte("\xFF\xFE")), bytes.HasPrefix(text, []byte("\xFE\xFF")):
		return errors.New("it is UTF-16; save it as UTF-8")
	}
	for i, line := range bytes.Split(text, []byte("\n")) {
		switch {
		case !utf8.Valid(line):
			return fmt.Errorf("line %d is not UTF-8; save it as UTF-8", i+1)
		case bytes.IndexByte(line, 0) >= 0:
			return fmt.Errorf("line %d has a NUL character; take it out, or save the file as UTF-8", i+1)
		}
	}
	return nil
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
