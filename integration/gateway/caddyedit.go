package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Global is the block of the global options, in a path.
const Global = "{"

// Place is one directive of a Caddyfile, with its block.
type Place struct{ path []string }

// At is the place that a path leads to. Each of its elements are the first words of a
// directive, and the next one is in that one's block. The blocks around the first one may
// be left out. An edit fails if there is no such place, or more than one.
func At(path ...string) Place { return Place{path} }

// Edit changes the text of a Caddyfile.
type Edit func(caddyfile string) (string, error)

// Apply is the Caddyfile with the edits made, one after the other.
func Apply(caddyfile string, edits ...Edit) (_ string, err error) {
	for _, edit := range edits {
		if caddyfile, err = edit(caddyfile); err != nil {
			return "", err
		}
	}
	return caddyfile, nil
}

// edit puts other lines in the place of a directive's own.
func (p Place) edit(change func(d *directive, own []string) ([]string, error)) Edit {
	return func(caddyfile string) (string, error) {
		root, lines, err := parse(caddyfile)
		if err != nil {
			return "", err
		}
		d, err := root.one(p.path)
		if err != nil {
			return "", err
		}
		other, err := change(d, slices.Clone(lines[d.from:d.to]))
		if err != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(p.path, " > "), err)
		}
		return strings.Join(slices.Replace(lines, d.from, d.to, other...), "\n"), nil
	}
}

// Text is the directive with its block, as it is written.
func (p Place) Text(caddyfile string) (text string, err error) {
	_, err = p.edit(func(_ *directive, own []string) ([]string, error) {
		text = strings.Join(own, "\n")
		return own, nil
	})(caddyfile)
	return text, err
}

// Add puts lines at the begin of the place's block, which is made if there is none.
func (p Place) Add(lines ...string) Edit {
	return p.edit(func(d *directive, own []string) ([]string, error) {
		if d.open > 0 {
			return slices.Insert(own, d.open-d.from, indented(d.indent+"\t", lines)...), nil
		}
		last := len(own) - 1
		if strings.Contains(own[last], " #") {
			return nil, errors.New("the line has a comment, and no block to add to")
		}
		own[last] += " {"
		return append(append(own, indented(d.indent+"\t", lines)...), d.indent+"}"), nil
	})
}

// Set gives the place other arguments. Its block stays.
func (p Place) Set(arguments ...string) Edit {
	return p.begin(func(d *directive) []string { return append(d.words[:1:1], arguments...) })
}

// Rename gives the place other words. Its block stays.
func (p Place) Rename(words ...string) Edit {
	return p.begin(func(*directive) []string { return words })
}

func (p Place) begin(words func(*directive) []string) Edit {
	return p.edit(func(d *directive, own []string) ([]string, error) {
		line, end := d.indent+strings.Join(words(d), " "), d.to
		if d.open > 0 {
			line, end = line+" {", d.open
		}
		return slices.Replace(own, 0, end-d.from, line), nil
	})
}

// Replace puts lines in the stead of the place and its block.
func (p Place) Replace(lines ...string) Edit {
	return p.edit(func(d *directive, _ []string) ([]string, error) { return indented(d.indent, lines), nil })
}

// Remove takes the place away, with its block.
func (p Place) Remove() Edit { return p.Replace() }

// Before puts lines before the place.
func (p Place) Before(lines ...string) Edit {
	return p.edit(func(d *directive, own []string) ([]string, error) {
		return append(indented(d.indent, lines), own...), nil
	})
}

// After puts lines after the place and its block.
func (p Place) After(lines ...string) Edit {
	return p.edit(func(d *directive, own []string) ([]string, error) {
		return append(own, indented(d.indent, lines)...), nil
	})
}

// Wrap puts a block around the place, which begins with the words.
func (p Place) Wrap(words ...string) Edit {
	return p.edit(func(d *directive, own []string) ([]string, error) {
		return slices.Concat([]string{d.indent + strings.Join(words, " ") + " {"}, own, []string{d.indent + "}"}), nil
	})
}

// indented are the lines with an indent. One that has several lines itself is a
// text whose further lines may count as they are.
func indented(indent string, lines []string) (all []string) {
	for _, line := range lines {
		all = append(all, indent+line)
	}
	return all
}
