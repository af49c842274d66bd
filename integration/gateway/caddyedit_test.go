package gateway

import (
	"strings"
	"testing"
)

const edited = `# A { that opens nothing.
{
	admin localhost:1
	proxy {
		store memory
	}
}

one.example {
    # proxy x
    tls cert.pem key.pem {
        mode request
    }
    policy ` + "`a == \"}\" ||\n  b {`" + ` "c }" {
        name d
    }
    proxy {env.UPSTREAM}
    after last # said
}
`

// TestEdits holds every operation against the whole text, which is the same everywhere else.
func TestEdits(t *testing.T) {
	for name, c := range map[string]struct {
		edit     Edit
		old, new string
	}{
		"add to a block":           {At("tls").Add("x y", "z"), "key.pem {\n", "key.pem {\n    \tx y\n    \tz\n"},
		"add to the global block":  {At(Global).Add("debug"), "\n{\n", "\n{\n\tdebug\n"},
		"add to a line":            {At("one.example", "proxy").Add("x"), "{env.UPSTREAM}\n", "{env.UPSTREAM} {\n    \tx\n    }\n"},
		"add to nobody's block":    {At("policy").Add("x"), "\"c }\" {\n", "\"c }\" {\n    \tx\n"},
		"set a line":               {At("mode").Set("verify", "twice"), "mode request", "mode verify twice"},
		"set none":                 {At("mode").Set(), "mode request", "mode"},
		"set a block's":            {At("tls").Set("other.pem"), "tls cert.pem key.pem {", "tls other.pem {"},
		"set over several lines":   {At("policy").Set("x"), "policy `a == \"}\" ||\n  b {` \"c }\" {", "policy x {"},
		"rename":                   {At("one.example").Rename("two.example,", "three.example"), "one.example {", "two.example, three.example {"},
		"replace":                  {At("tls").Replace("tls off", "x"), "tls cert.pem key.pem {\n        mode request\n    }\n", "tls off\n    x\n"},
		"remove a line":            {At("proxy", "store").Remove(), "\t\tstore memory\n", ""},
		"remove a block":           {At("policy").Remove(), "    policy `a == \"}\" ||\n  b {` \"c }\" {\n        name d\n    }\n", ""},
		"before":                   {At("one.example").Before("two.example {", "}"), "one.example {", "two.example {\n}\none.example {"},
		"after":                    {At("policy").After("x"), "name d\n    }\n", "name d\n    }\n    x\n"},
		"wrap":                     {At("one.example", "proxy").Wrap("handle", "/x"), "    proxy {env.UPSTREAM}\n", "    handle /x {\n    proxy {env.UPSTREAM}\n    }\n"},
		"in a block within blocks": {At("one.example", "tls", "mode").Set("x"), "mode request", "mode x"},
		"by several words":         {At("proxy {env.UPSTREAM}").Set("x"), "proxy {env.UPSTREAM}", "proxy x"},
	} {
		t.Run(name, func(t *testing.T) {
			if n := strings.Count(edited, c.old); n != 1 {
				t.Fatalf("%q is there %d times, want once", c.old, n)
			}
			got, err := Apply(edited, c.edit)
			if want := strings.Replace(edited, c.old, c.new, 1); err != nil || got != want {
				t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}

// TestEditsOneAfterTheOther: an edit finds what those before it have made, and the text of
// a place is the one of its lines.
func TestEditsOneAfterTheOther(t *testing.T) {
	got, err := Apply(edited, At(Global, "proxy").Add("grace {", "\ttime 1s", "}"), At("grace", "time").Set("2s"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := At("grace").Text(got)
	if want := "\t\tgrace {\n\t\t\ttime 2s\n\t\t}"; err != nil || text != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
}

// TestEditsThatFail say which place is not there once, and what is there.
func TestEditsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		edit Edit
		want string
	}{
		"nowhere":             {edited, At("nothing").Remove(), `the Caddyfile has 0 places "nothing", want one; the Caddyfile holds line 2: {; line 9: one.example`},
		"not in this block":   {edited, At("one.example", "tls", "store").Set("x"), `the Caddyfile has 0 places "one.example > tls > store", want one; one.example > tls holds line 12: mode request`},
		"in an empty block":   {edited, At("mode", "x", "y").Set("x"), `the Caddyfile has 0 places "mode > x > y", want one; the Caddyfile holds line 2: {; line 9: one.example`},
		"twice":               {edited, At("proxy").Remove(), `the Caddyfile has 2 places "proxy", want one; there are line 4: proxy; line 18: proxy {env.UPSTREAM}`},
		"a block of itself":   {"a {\n\ta {\n\t}\n}\n", At("a").Set("x"), `the Caddyfile has 2 places "a", want one; there are line 1: a; line 2: a`},
		"add after a comment": {edited, At("after").Add("x"), "after: the line has a comment, and no block to add to"},
		"not closed":          {"a {\n\tb\n", At("b").Remove(), "line 1 of the Caddyfile: the block is not closed"},
		"closed twice":        {"a {\n}\n}\n", At("a").Remove(), "line 3 of the Caddyfile: the brace closes no block, or does not stand alone"},
		"a line that goes on": {"a \\\n\tb\n", At("a").Remove(), `a line of the Caddyfile goes on after a \, which the editor does not understand`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Apply(c.text, c.edit); err == nil || err.Error() != c.want {
				t.Errorf("got %q, %v, want the error %s", got, err, c.want)
			}
		})
	}
}
