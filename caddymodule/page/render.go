package page

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are those of the pages, each with the frame around it.
var templates = parseTemplates("clients", "client", "change", "message")

func parseTemplates(names ...string) map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range names {
		all[name] = template.Must(template.New("frame.html").Funcs(functions).ParseFS(templateFiles, "templates/frame.html", "templates/parts.html", "templates/"+name+".html"))
	}
	return all
}

// view is what a template draws.
type view struct {
	Title string
	// Data is of the page itself.
	Data any

	// Root is in front of every address, Assets the version of what pages load.
	Root, Assets string
	// User is who looks; Changes: they may change something.
	User    string
	Changes bool
	// Section is the part of the navigation that the page is in.
	Section string
}

// render draws a page whole before anything of it is sent.
func (r *request) render(status int, name string, v view) {
	v.Root, v.Assets, v.User, v.Changes = r.root, assetsVersion, r.who.Name, r.who.changes
	var page bytes.Buffer
	if err := templates[name].Execute(&page, v); err != nil {
		r.server.log.Error("cannot draw a page", slog.String("page", name), slog.Any("error", err))
		http.Error(r.w, "the page cannot be drawn; the gateway's log says why", http.StatusInternalServerError)
		return
	}
	r.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	r.w.WriteHeader(status)
	_, _ = r.w.Write(page.Bytes())
}

var functions = template.FuncMap{
	"text": func(s string) shownText { return shown(s, longestText) }, "short": func(s string) shownText { return shown(s, longestShort) },
	"time": func(t time.Time) shownTime { return shownTime{t.UTC()} }, "seconds": func(s int64) shownTime { return shownTime{time.Unix(s, 0).UTC()} },
	"path": apiPath, "part": func(title string, members []member) membersPart { return membersPart{title, members} }, "words": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
}

// Bounds of a text that a TPP has chosen, in characters.
const (
	longestText  = 300
	longestShort = 60
)

// shownText is a text as a page shows it.
type shownText struct {
	Text string
	// Cut: it is longer.
	Cut bool
}

// shown is a text that others may have chosen: a character that nobody sees, or that moves
// others, is written as its code point.
func shown(s string, most int) (t shownText) {
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n == most {
			t.Cut = true
			break
		}
		n++
		if c == utf8.RuneError || c == '\u2800' || !unicode.IsPrint(c) && c != '\n' || unicode.In(c, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			b.WriteString(codePoint(c))
		} else {
			b.WriteRune(c)
		}
	}
	t.Text = b.String()
	return t
}

func codePoint(c rune) string {
	const digits = "0123456789ABCDEF"
	text := ""
	for shift := 20; shift >= 0; shift -= 4 {
		if digit := c >> shift & 15; digit != 0 || text != "" || shift < 16 {
			text += string(digits[digit])
		}
	}
	return "[U+" + text + "]"
}

// shownTime is a time in UTC; the script adds that of the reader.
type shownTime struct{ at time.Time }

// Known tells whether there is one.
func (t shownTime) Known() bool { return t.at.Unix() > 0 }

// Machine and Text are for the two readers.
func (t shownTime) Machine() string { return t.at.Format(time.RFC3339) }
func (t shownTime) Text() string    { return t.at.Format("2 Jan 2006, 15:04 MST") }
