package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// directive is one of a Caddyfile, with its block. Lines count from 0; the second of two
// is the one after the last.
type directive struct {
	words    []string // without the brace of the block, except the global options, which are Global
	indent   string
	from, to int
	// open is the line after the opening brace. It has no block if that is 0.
	open  int
	inner []*directive
}

// parse is the tree of a Caddyfile, and its lines.
func parse(text string) (root *directive, lines []string, err error) {
	if strings.Contains(text, "\\\n") {
		return nil, nil, errors.New(`a line of the Caddyfile goes on after a \, which the editor does not understand`)
	}
	tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
	if err != nil {
		return nil, nil, err
	}
	lines = strings.Split(text, "\n")
	blocks := []*directive{{}}
	for len(tokens) > 0 {
		n := 1
		for n < len(tokens) && tokens[n].Line == after(tokens[n-1]) {
			n++
		}
		line, in := tokens[:n], blocks[len(blocks)-1]
		tokens = tokens[n:]
		if is(line[0], "}") {
			if len(line) > 1 || len(blocks) == 1 {
				return nil, nil, fmt.Errorf("line %d of the Caddyfile: the brace closes no block, or does not stand alone", line[0].Line)
			}
			in.to, blocks = after(line[0]), blocks[:len(blocks)-1]
			continue
		}
		source := lines[line[0].Line-1]
		d := &directive{from: line[0].Line - 1, to: after(line[n-1]), indent: source[:len(source)-len(strings.TrimLeft(source, " \t"))]}
		for _, token := range line {
			d.words = append(d.words, token.Text)
		}
		in.inner = append(in.inner, d)
		if is(line[n-1], "{") {
			d.open, blocks = d.to, append(blocks, d)
			if n > 1 {
				d.words = d.words[:n-1]
			}
		}
	}
	if len(blocks) > 1 {
		return nil, nil, fmt.Errorf("line %d of the Caddyfile: the block is not closed", blocks[len(blocks)-1].from+1)
	}
	return blocks[0], lines, nil
}

// after is the line after a token.
func after(t caddyfile.Token) int { return t.Line + t.NumLineBreaks() }

func is(t caddyfile.Token, text string) bool { return t.Text == text && !t.Quoted() }

// begins tells whether the directive begins with the words of head.
func (d *directive) begins(head string) bool {
	words := strings.Fields(head)
	return len(words) <= len(d.words) && slices.Equal(words, d.words[:len(words)])
}

// find are the directives in d's block, however deep, that the path leads to.
func (d *directive) find(path []string) (found []*directive) {
	for _, inner := range d.inner {
		found = append(append(found, inner.at(path)...), inner.find(path)...)
	}
	return found
}

// at are the directives that the path leads to if it begins with d itself.
func (d *directive) at(path []string) (found []*directive) {
	switch {
	case !d.begins(path[0]):
		return nil
	case len(path) == 1:
		return []*directive{d}
	}
	for _, inner := range d.inner {
		found = append(found, inner.at(path[1:])...)
	}
	return found
}

// one is the only directive that the path leads to.
func (d *directive) one(path []string) (*directive, error) {
	found := d.find(path)
	if len(found) == 1 {
		return found[0], nil
	}
	return nil, fmt.Errorf("the Caddyfile has %d places %q, want one; %s", len(found), strings.Join(path, " > "), d.there(path, found))
}

// there says what is where one looks for the path: the places that are found, or what the
// innermost block of the path holds that there is.
func (d *directive) there(path []string, found []*directive) string {
	where := "there are"
	for n := len(path) - 1; len(found) == 0 && n >= 0; n-- {
		around := []*directive{d}
		if where = "the Caddyfile holds"; n > 0 {
			where, around = strings.Join(path[:n], " > ")+" holds", d.find(path[:n])
		}
		for _, a := range around {
			found = append(found, a.inner...)
		}
	}
	var heads []string
	for _, f := range found {
		heads = append(heads, fmt.Sprintf("line %d: %s", f.from+1, strings.Join(f.words, " ")))
	}
	return where + " " + strings.Join(heads, "; ")
}
