package policycases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// document is a JSON file. What is wrong with it is told with its line and column.
type document struct {
	file string
	text []byte
	// is what it holds, in words.
	is string
	// at is where each of its members is, by its whole name: "want.text".
	at     map[string]int
	tokens *json.Decoder
}

// open reads a file that holds exactly one value, of a type. What may be left out of it is
// not looked at, and nothing else may be in it.
func open(file, is string, t reflect.Type) (*document, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := &document{file: file, text: text, is: is, at: map[string]int{}, tokens: json.NewDecoder(bytes.NewReader(text))}
	if err := d.wellFormed(); err != nil {
		return nil, err
	}
	d.tokens.UseNumber()
	return d, d.check(t, "", false)
}

func (d *document) wellFormed() error {
	if at, err := verify.CheckPolicyFile(d.text); err != nil {
		return d.fault(at, "%v", err)
	}
	var value json.RawMessage
	first := json.NewDecoder(bytes.NewReader(d.text))
	err := first.Decode(&value)
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return d.fault(len(d.text), "is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return d.fault(len(d.text), "is not JSON: ends too early")
	case errors.As(err, &syntax):
		return d.fault(int(syntax.Offset)-1, "is not JSON: %v", err)
	case err != nil:
		return d.fault(0, "is not JSON: %v", err)
	}
	end := int(first.InputOffset())
	if rest := bytes.TrimLeft(d.text[end:], " \t\r\n"); len(rest) > 0 {
		return d.fault(len(d.text)-len(rest), "has text after its end: one file is one object")
	}
	return nil
}

// fault is an error about a place.
func (d *document) fault(at int, format string, args ...any) error {
	before := d.text[:max(0, min(at, len(d.text)))]
	line := bytes.LastIndexByte(before, '\n') + 1
	return fmt.Errorf("%s:%d:%d: %s", d.file, bytes.Count(before, []byte("\n"))+1, utf8.RuneCount(before[line:])+1, fmt.Sprintf(format, args...))
}
