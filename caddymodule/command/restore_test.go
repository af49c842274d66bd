package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// machine is a folder with a configuration, a keyset and a backup, and without a store.
func machine(t *testing.T) (dir string) {
	t.Helper()
	k, text, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	store := memory.Open(memory.Options{})
	put := func(w registry.Writer) error {
		return errors.Join(w.Put("client/default%2Fobuk/1", []byte(`{"v":1,"id":"1","client_id":"c","status":"active"}`)), w.Put("id/default%2Fobuk/c", []byte("1")))
	}
	if err := store.Update(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: k})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var backup bytes.Buffer
	if _, err := r.Backup(t.Context(), &backup, nil); err != nil {
		t.Fatal(err)
	}
	dir = files(t, map[string]string{"caddy/openbanking_dcr/keyset.json": string(text), "dcr.backup": backup.String()})
	config := fmt.Sprintf(`{
	openbanking_dcr {
		store badger %s/store
	}
}
auth.bank.example {
	openbanking_dcr default/obuk {
		authorization_server https://as.internal:9443/default/obuk {
			provision rfc7591
		}
		software_statement "OpenBanking Ltd" {
			jwks_uri https://directory.example/keys.jwks
		}
	}
}
`, dir)
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_DATA_HOME", dir)
	return dir
}

// restoring runs caddy dcr restore.
func restoring(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	c := restore()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(append([]string{"--config", filepath.Join(dir, "Caddyfile")}, args...))
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestRestoreCommand(t *testing.T) {
	dir := machine(t)
	file := filepath.Join(dir, "dcr.backup")
	out, err := restoring(t, dir, file, "--verify")
	if err != nil || !strings.HasPrefix(out, "verified 3 records, 1 clients of default/obuk, as of ") || strings.Contains(out, "next") {
		t.Errorf("--verify: got %s, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "store")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("--verify has made a store: %v", err)
	}
	out, err = restoring(t, dir, file)
	if err != nil || !strings.HasPrefix(out, "restored 3 records, 1 clients of default/obuk, as of ") || !strings.Contains(out, "4. Confirm the epoch.") {
		t.Errorf("got %s, %v, want what was restored, and what to do", out, err)
	}
	if out, err := restoring(t, dir, file); !errors.Is(err, registry.ErrNotEmpty) {
		t.Errorf("once more: got %s, %v, want ErrNotEmpty", out, err)
	}
	store, err := badger.Open(badger.Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if out, err := restoring(t, dir, file); !errors.Is(err, badger.ErrLocked) || !strings.HasSuffix(err.Error(), ": stop the gateway first") {
		t.Errorf("beside a gateway: got %s, %v, want ErrLocked, and what to do", out, err)
	}
	err = store.View(t.Context(), func(v registry.Reader) error {
		_, err := v.Get("client/default%2Fobuk/1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRestoreCommandConfirms(t *testing.T) {
	dir := machine(t)
	out, err := restoring(t, dir, filepath.Join(dir, "dcr.backup"), "--confirm", "--reason", "the gateway moved")
	if err != nil || strings.Contains(out, "Confirm the epoch") {
		t.Errorf("got %s, %v, want it restored, and no epoch to confirm", out, err)
	}
}

func TestRestoreCommandRefuses(t *testing.T) {
	dir := machine(t)
	file := filepath.Join(dir, "dcr.backup")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "half.backup")
	if err := os.WriteFile(half, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no file":            {nil, "the file with the backup"},
		"two files":          {[]string{file, file}, "the file with the backup"},
		"a missing file":     {[]string{file + "x"}, "no such file"},
		"a folder":           {[]string{dir}, "is no regular file"},
		"no backup":          {[]string{text}, "this is not a backup of caddy-dcr"},
		"half a backup":      {[]string{half}, "the backup is damaged: it was cut off or altered"},
		"no reason":          {[]string{file, "--confirm"}, "--confirm needs a --reason"},
		"a reason alone":     {[]string{file, "--reason", "x"}, "--reason is that of --confirm"},
		"a long reason":      {[]string{file, "--confirm", "--reason", strings.Repeat("x", 501)}, "a reason of 1 to 500 bytes"},
		"verify and confirm": {[]string{file, "--verify", "--confirm", "--reason", "x"}, "--verify or --confirm, not both"},
		"no audit trail":     {[]string{file, "--audit", text}, "is no audit trail in JSON"},
		"another audit file": {[]string{file, "--audit", filepath.Join(dir, "caddy/openbanking_dcr/keyset.json")}, "has neither change nor entries"},
		"no configuration":   {[]string{file, "--config", filepath.Join(dir, "none")}, "--config: reading config from file"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := restoring(t, dir, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %s, %v, want %q", out, err, tc.want)
			}
		})
	}
}

// TestLaterSuspensionsAreNamed, in either form of a copy of the audit trail, once each, and
// not those that the backup has.
func TestLaterSuspensionsAreNamed(t *testing.T) {
	dir := machine(t)
	entry := func(at time.Duration, change, of string) string {
		return fmt.Sprintf(`{"at":%q,"workspace":"default/obuk","change":%q,%s,"reason":"fraud"}`, time.Now().Add(at).UTC().Format(time.RFC3339Nano), change, of)
	}
	old, org, client := entry(-time.Hour, "suspended", `"org_id":"old"`), entry(time.Hour, "suspended", `"org_id":"org"`), entry(time.Hour, "suspended", `"client_id":"c1"`)
	resumed, other := entry(2*time.Hour, "resumed", `"client_id":"c1"`), entry(time.Hour, "updated", `"client_id":"c2"`)
	approved, refused := entry(90*time.Minute, "approved", `"client_id":"c1"`), entry(time.Hour, "approved", `"client_id":"c3"`)+"\n"+entry(2*time.Hour, "refused", `"client_id":"c3"`)
	for name, text := range map[string]string{
		"lines":     strings.Join([]string{old, resumed, org, client, other}, "\n"),
		"approvals": strings.Join([]string{resumed, approved, org, client, refused}, "\n"),
		"pages":     `{"entries":[` + old + "," + client + `],"next":"x"}` + "\n" + `{"entries":[` + org + "," + resumed + "," + other + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			audit := filepath.Join(dir, name)
			if err := os.WriteFile(audit, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := restoring(t, dir, filepath.Join(dir, "dcr.backup"), "--verify", "--audit", audit)
			_, list, _ := strings.Cut(out, "Make them again:\n")
			want := 2
			if name == "approvals" {
				want = 4
				if !strings.Contains(list, `approved   workspace default/obuk, client "c1"`) || !strings.Contains(list, `refused    workspace default/obuk, client "c3"`) || strings.Contains(list, `approved   workspace default/obuk, client "c3"`) {
					t.Errorf("got %s, want c1 approved and c3 refused", out)
				}
			}
			if err != nil || strings.Count(list, "\n") != want || !strings.Contains(list, `suspended  workspace default/obuk, organisation "org": "fraud"`) || !strings.Contains(list, `resumed    workspace default/obuk, client "c1"`) {
				t.Errorf("got %s, %v, want org suspended and c1 resumed", out, err)
			}
		})
	}
}

// TestLaterChangesArePrintable: a copy of the audit trail does not command a terminal.
func TestLaterChangesArePrintable(t *testing.T) {
	var out strings.Builder
	e := registry.AuditEntry{At: time.Unix(1, 0), Workspace: "\x1b[2J\u202e\nx", Change: registry.AuditDeleted, ClientID: "\x1b[2J"}
	if err := tellLaterChanges(&out, []registry.AuditEntry{e}, time.Unix(0, 0)); err != nil || strings.ContainsAny(out.String(), "\x1b\u202e") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("got %q, %v; want one change without control characters", out.String(), err)
	}
}

// TestRestoreAsDocumented runs the commands of docs/backup.md, one after the other.
func TestRestoreAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := machine(t)
	if err := os.WriteFile(filepath.Join(dir, "audit.json"), []byte(`{"entries":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^ +(?:sudo -u caddy -H )?caddy dcr restore --config /etc/caddy/Caddyfile (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(commands) != 2 {
		t.Fatalf("got the commands %q, want two", commands)
	}
	t.Chdir(dir)
	for _, command := range commands {
		if out, err := restoring(t, dir, strings.Fields(command[1])...); err != nil {
			t.Errorf("%s: got %s, %v", command[0], out, err)
		}
	}
}

// TestRestoreProgress: nothing is told of what takes less than two seconds, and then no
// more than a line in two seconds.
func TestRestoreProgress(t *testing.T) {
	now := time.Unix(0, 0)
	var out bytes.Buffer
	p := &restoreProgress{out: &out, size: 2000, next: now.Add(progressAfter), now: func() time.Time { return now }}
	for n := range 50 {
		now = time.Unix(0, 0).Add(time.Duration(n) * 100 * time.Millisecond)
		p.told(registry.BackupProgress{Records: int64(n * 100), Total: 5000, Bytes: int64(n * 40)}, n > 30)
	}
	if want := "verified 2,000 of 5,000 records, 800 B of 2.0 kB\nrestored 4,000 of 5,000 records, 1.6 kB of 2.0 kB\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
