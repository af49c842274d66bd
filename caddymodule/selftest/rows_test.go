package selftest

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// started is the play of the only workspace of a configuration in JSON, which runs.
func started(t *testing.T, config []byte) *play {
	t.Helper()
	r := rewritten(t, config)
	p := newPlay(r.workspaces[0], &Report{})
	p.tell = func(string) {}
	t.Cleanup(p.clients.close)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	p.load(t)
	return p
}

func (p *play) load(t *testing.T) {
	t.Helper()
	text, err := p.rewriting.json()
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(text, true); err != nil {
		t.Fatal(err)
	}
}

// refusedByCaddy are parts of the names of rows that Caddy itself refuses, without a gateway.
var refusedByCaddy = []string{
	"register with a certificate of another CA", "expired certificate", "not valid yet", "server's certificate", "token with a certificate of another CA",
	"absolute-form target with another host", "target without a slash", "opaque target", "another Host than", "two Hosts", "two Content-Lengths", "a Transfer-Encoding that nobody knows",
	"a blank before the colon", "requests for unknown.invalid",
}

// TestRowsCanFail: with the directive taken out, every row fails but those that Caddy refuses.
func TestRowsCanFail(t *testing.T) {
	p := started(t, adapted(t, example(t)))
	var err error
	if p.home, err = p.directory(); err != nil {
		t.Fatal(err)
	}
	if err := p.playStory(t.Context()); err != nil {
		t.Fatal(err)
	}
	walk(p.rewriting.tree, "", nil, func(_ string, o map[string]any, _ []map[string]any) {
		if o["handler"] == "openbanking_dcr" {
			clear(o)
			o["handler"] = "vars"
		}
	})
	p.load(t)
	p.clients.close()
	p.report.Rows = nil
	if err := p.tryAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, row := range p.report.Rows {
		if !row.OK {
			failed++
			continue
		}
		if !slices.ContainsFunc(refusedByCaddy, func(part string) bool { return strings.Contains(row.Name, part) }) {
			t.Errorf("without the gateway the row %q passes: got %s, want %s", row.Name, row.Got, row.Expected)
		}
	}
	if failed < 60 {
		t.Errorf("%d rows fail, want 60 or more", failed)
	}
}
