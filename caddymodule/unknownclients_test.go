package caddymodule

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKnownClientsFile: what is no list of client_ids does not load.
func TestKnownClientsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	for text, says := range map[string]string{
		"a\nb\x00c\n": "line 2 must be a client_id", "a\xff": "line 1 must be a client_id", strings.Repeat("x", 1<<10+1): "line 1 must be a client_id",
		strings.Repeat("client\n", 1<<20/7) + "abcd\n": "larger than 1048576 bytes",
		"a\nportal # the bank's portal\n":              "line 2 has a comment after the client_id; a comment must have a line of its own", "portal\t#x": "line 1 has a comment",
	} {
		write(t, file, text)
		if err := (&UnknownClients{Known: file}).provision(new(fileWatch)); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), file) {
			t.Errorf("%.20q: %v, want %q", text, err, says)
		}
	}
	if err := (&UnknownClients{Known: file + "-absent"}).provision(new(fileWatch)); err == nil {
		t.Error("no such file")
	}
	longest := strings.Repeat("x", 1<<10)
	write(t, file, longest+"\n"+strings.Repeat("#"+longest[:1022]+"\n", 1<<10-2)+"#"+longest[:1021]+"\n")
	if info, err := os.Stat(file); err != nil || info.Size() != 1<<20 {
		t.Fatalf("got %v, %v, want 1 MiB", info, err)
	}
	if u := (&UnknownClients{Known: file}); u.provision(new(fileWatch)) != nil || !u.knows(longest) {
		t.Error("1 MiB with a client_id of 1 KiB: it is not known")
	}
	write(t, file, "\ufeffa\n#b\n  # c # d\nweb#1\n")
	u := &UnknownClients{Known: file}
	if err := u.provision(new(fileWatch)); err != nil || !u.knows("a") || !u.knows("web#1") || len(*u.known.Load()) != 2 {
		t.Errorf("got %v, %v, want a and web#1", u.known.Load(), err)
	}
	write(t, file, "a # remark\n")
	if err := u.read(); err == nil || !u.knows("a") || u.knows("a # remark") {
		t.Errorf("read again: got %v, %v, want an error, and a as before", u.known.Load(), err)
	}
	if err := (&UnknownClients{Mode: "maybe"}).provision(new(fileWatch)); err == nil {
		t.Error("a mode that is none")
	}
}

// TestKnownClients: the gateway's own clients are known, and those of the file, which is read
// again when it changes.
func TestKnownClients(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	write(t, file, "# the bank's own\n\nmobile app\r\n  web  \n")
	h := &Handler{AuthorizationServer: &AuthorizationServer{Client: &Credentials{ID: "gateway"}}, AccessToken: &AccessToken{Client: &Credentials{ID: "registrar"}}, app: new(App)}
	h.app.files.log = slog.New(slog.DiscardHandler)
	expect := func(ids string) {
		t.Helper()
		known := ""
		for _, id := range []string{"forgotten", "Mobile App", "mobile app", "web", "gateway", "registrar"} {
			if h.UnknownClients.knows(id) {
				known += id + ","
			}
		}
		if known != ids {
			t.Errorf("known are %q, want %q", known, ids)
		}
	}
	for _, c := range []struct {
		of    *UnknownClients
		known string
	}{{nil, "gateway,registrar,"}, {&UnknownClients{Mode: "refuse"}, "gateway,registrar,"}, {&UnknownClients{Mode: "pass", Known: file}, "mobile app,web,gateway,registrar,"}} {
		h.UnknownClients = c.of
		if err := h.provisionUnknownClients(); err != nil {
			t.Fatal(err)
		}
		expect(c.known)
	}
	write(t, file, "web\n")
	h.app.files.look(time.Now())
	expect("web,gateway,registrar,")
}
