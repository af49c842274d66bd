package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

const fileHeader = `{"format":"openbanking_dcr_clients","version":1}` + "\n"

// foreign is the line of a client that an AS had before; more are further members, each with a
// comma behind it.
func foreign(id, more string) string {
	return `{` + more + `"client_id":"` + id + `","software_id":"software1","org_id":"org1","directory":"OpenBanking Ltd","metadata":{` +
		`"redirect_uris":["https://tpp.example/cb"],"token_endpoint_auth_method":"tls_client_auth","grant_types":["client_credentials"],"response_types":[],"application_type":"web",` +
		`"id_token_signed_response_alg":"PS256","request_object_signing_alg":"PS256","scope":"openid accounts","tls_client_auth_subject_dn":"CN=` + id + `,O=Acme,C=GB"}}` + "\n"
}

// clientFile is one of a person.
func clientFile(lines ...string) *strings.Reader {
	return strings.NewReader(fileHeader + strings.Join(lines, ""))
}

var importer = registry.Act{Reason: "they were at the AS before", Operator: registry.Operator{Name: "Anna", Known: registry.ByDeclaration}}

func (x *fixture) importOf(file io.ReadSeeker) registry.ClientImport {
	return registry.ClientImport{From: file, Act: importer, Rules: map[string]registry.ImportRules{
		x.ws.Name: {Directories: []string{"OpenBanking Ltd"}, Supported: verify.DefaultSupportedMetadata(), ClientsPerSoftware: 3},
	}}
}

func (x *fixture) imports(file io.ReadSeeker) *registry.ImportReport {
	x.t.Helper()
	report, err := x.Import(x.t.Context(), x.importOf(file))
	if err != nil {
		x.t.Fatalf("%+v, %v", report, err)
	}
	return report
}

func (x *fixture) checks(file io.ReadSeeker) *registry.ImportReport {
	x.t.Helper()
	report, err := x.CheckImport(x.t.Context(), x.importOf(file))
	if err != nil {
		x.t.Fatal(err)
	}
	return report
}

// everything is the store's content but for the audit trail, imports and what is about the store.
func (x *fixture) everything() map[string]string {
	x.t.Helper()
	all := map[string]string{}
	for k, e := range records(x.t, x.store) {
		kind, _, _ := strings.Cut(k, "/")
		if !slices.Contains([]string{"audit", "history", "import", "imported", "store", "software"}, kind) {
			all[k] = string(e.Value)
		}
	}
	return all
}

// TestImport: what an AS had before is registered, found as other clients are, and works; a
// second time nothing is done.
func TestImport(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ctx := x.t.Context()
		file := clientFile(foreign("a", `"registration_access_token":"rat","registration_client_uri":"https://as.example/reg/a?x=y","client_name":"A TPP",`), foreign("B", `"issued_at":1000,"suspended":true,`))
		before := x.everything()
		report := x.checks(file)
		if report.Clients != 2 || report.New != 2 || report.Native != 2 || report.Suspended != 1 || report.WithoutToken != 1 || report.WithoutCertificate != 0 || report.ErrorCount+report.WarningCount != 0 || report.State != "checked" {
			t.Errorf("%+v: not what the file has", report)
		}
		if !maps.Equal(x.everything(), before) || len(x.keys("import")) > 0 {
			t.Error("a check has written something")
		}
		if report := x.imports(file); report.Written != 2 || report.State != registry.ImportDone {
			t.Errorf("%+v, want both written", report)
		}
		before = x.everything()
		if report := x.imports(file); report.Written != 0 || report.Imported != 2 || report.State != registry.ImportDone || !maps.Equal(x.everything(), before) {
			t.Errorf("%+v, want that the same file once more changes nothing, nor who has imported it", report)
		}
		a, err := x.Client(ctx, x.ws.Name, "a")
		if err != nil || a.Status != registry.Active || a.Suspended || a.ClientName != "A TPP" || a.Document != "" || a.TokenEndpointAuth() != "native" {
			t.Fatalf("%+v, %v; want an active client without a request", a, err)
		}
		if b, err := x.Client(ctx, x.ws.Name, "B"); err != nil || !b.Suspended || b.IssuedAt != 1000 {
			t.Errorf("%+v, %v; want a suspended client", b, err)
		}
		if _, err := x.Client(ctx, x.ws.Name, "b"); !errors.Is(err, registry.ErrAlike) {
			t.Errorf("%v, want that another spelling is registered", err)
		}
		dn, err := a.DN()
		if err != nil {
			t.Fatal(err)
		}
		for by, value := range map[registry.Index]string{registry.BySoftware: "software1", registry.BySubject: dn.Canonical(), registry.ByOrganisation: "org1", registry.ByTime: ""} {
			if list, _, err := x.List(ctx, x.ws.Name, by, value, "", 10); err != nil || !slices.ContainsFunc(list, func(c *registry.Client) bool { return c.ClientID == "a" }) {
				t.Errorf("by %s: %v, %v; want the client among them", by, list, err)
			}
		}
		d := x.details(a)
		if e := d.History[0]; e.Change != registry.AuditImported || e.Reason != importer.Reason || e.Operator.Name != "Anna" || d.Others != 1 {
			t.Errorf("%+v with %d others, want who imported it, and the other one of its software", e, d.Others)
		}
		after := x.everything()
		if report := x.imports(file); report.Written != 0 || report.Imported != 2 || !maps.Equal(x.everything(), after) {
			t.Errorf("%+v, want that nothing was written again", report)
		}
		if report := x.imports(clientFile(foreign("a", `"client_name":"A TPP",`))); report.Present != 1 || report.Written != 0 {
			t.Errorf("%+v, want that the client is there already", report)
		}

		x.as.set(func() {
			x.as.clients["B"] = registry.Credentials{RegistrationAccessToken: "nobody has it here"}
			x.as.clients["a"] = registry.Credentials{RegistrationAccessToken: "rat", RegistrationPath: "/reg/a?x=y"}
		})
		a, err = x.Update(ctx, x.ws, "a", unauthorized(t, 1))
		if err != nil || a.Document == "" || a.Thumbprint == "" {
			t.Fatalf("%+v, %v; want that a PUT makes it a registration", a, err)
		}
		if d := x.details(a); !d.Statement.Has("org_id") {
			t.Error("its statement is not there")
		}
		if err := x.Resume(ctx, registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: "B", Act: importer}); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Update(ctx, x.ws, "B", unauthorized(t, 2)); err == nil || !strings.Contains(err.Error(), "does not let this registration be changed") {
			t.Errorf("%v, want that nobody can change it at the AS", err)
		}
	})
}

// TestImportRefuses: one bad line keeps the whole file out, and says what to write.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ctx := x.t.Context()
		x.as.set(func() { x.as.ids = []string{"taken", "Gone"} })
		x.register(request("1", "t1"))
		gone := x.register(request("2", "t2"))
		if err := x.Delete(ctx, x.ws, gone.ClientID, registry.Presented{}); err != nil {
			t.Fatal(err)
		}
		x.settle()
		without := func(line, part string) string {
			if !strings.Contains(line, part) {
				t.Fatalf("%s has no %s", line, part)
			}
			return strings.Replace(line, part, "", 1)
		}
		with := func(line, part, other string) string { return strings.Replace(line, part, other, 1) }
		a := foreign("a", "")
		method := `"token_endpoint_auth_method":"tls_client_auth"`
		dn := `,"tls_client_auth_subject_dn":"CN=a,O=Acme,C=GB"`
		before := x.everything()
		for name, c := range map[string]struct{ line, says string }{
			"not JSON":                   {"{\n", "at byte"},
			"no client_id":               {with(a, `"client_id":"a",`, ""), "client_id is missing"},
			"a client_id with a newline": {foreign(`a\n`, ""), "that nobody sees"},
			"a blank behind":             {foreign("a ", ""), "space at an end"},
			"a long client_id":           {foreign(strings.Repeat("a", 256), ""), "longer than 255"},
			"no software_id":             {without(a, `"software_id":"software1",`), "software_id is missing"},
			"no org_id":                  {without(a, `"org_id":"org1",`), "org_id is missing"},
			"no directory":               {without(a, `"directory":"OpenBanking Ltd",`), "directory is missing"},
			"another directory":          {with(a, "OpenBanking Ltd", "Elsewhere"), `there are "OpenBanking Ltd"`},
			"another workspace":          {foreign("a", `"workspace":"x",`), "there are default/obuk"},
			"a deleted client":           {foreign("a", `"status":"deleted",`), "only active"},
			"milliseconds":               {foreign("a", `"issued_at":1790000000000,`), "not milliseconds"},
			"no method":                  {without(a, method+","), "token_endpoint_auth_method is missing"},
			"another method":             {with(a, method, `"token_endpoint_auth_method":"none"`), "cannot authenticate"},
			"no DN":                      {without(a, dn), "cannot authenticate"},
			"a DN that is none":          {with(a, "CN=a,O=Acme,C=GB", "Acme"), "as RFC 4514 says"},
			"an empty DN":                {with(a, "CN=a,O=Acme,C=GB", "CN="), "has no value"},
			"two names":                  {with(a, dn, dn+`,"tls_client_auth_san_dns":"a.example"`), "several of"},
			"a wildcard":                 {with(a, dn, `,"tls_client_auth_san_dns":"*.example"`), "wildcard"},
			"a certificate that is none": {foreign("a", `"certificate":"hidden",`), "not one certificate"},
			"x5c that is none":           {foreign("a", `"x5c":["AAAA"],`), "cannot be read"},
			"a statement that is none":   {foreign("a", `"software_statement":"hidden",`), "compact JWS"},
			"another software's":         {foreign("a", `"software_statement":"e30.eyJzb2Z0d2FyZV9pZCI6Im8ifQ.e30",`), "not that of the software statement"},
			"a token without address":    {foreign("a", `"registration_access_token":"hidden",`), "write both"},
			"an address without path":    {foreign("a", `"registration_access_token":"hidden","registration_client_uri":"mailto:x",`), "no address"},
			"a token with a line end":    {foreign("a", `"registration_access_token":"hidden\r\nX: y","registration_client_uri":"/x",`), "visible ASCII"},
			"a secret and no bridge":     {foreign("a", `"client_secret":"hidden",`), "without bridge"},
			"a bridge and no secret":     {foreign("a", `"bridge":"client_secret_basic",`), "no client_secret"},
			"sealed elsewhere":           {foreign("a", `"sealed":"aGlkZGVu",`), "does not open"},
			"no secret of its own":       {with(with(a, method, `"token_endpoint_auth_method":"client_secret_basic"`), dn, ""), "client_secret is missing"},
			"keys of bridge mode":        {with(with(foreign("a", `"client_secret":"hidden","bridge":"client_secret_basic",`), method, `"token_endpoint_auth_method":"private_key_jwt"`), dn, ""), "write jwks_uri"},
			"twice":                      {foreign("z", ""), "more than once"},
			"alike in the file":          {foreign("Z", ""), "only in case"},
			"there with other content":   {foreign("taken", ""), "replaces nothing"},
			"alike":                      {foreign("TAKEN", ""), "only in case"},
			"deleted":                    {foreign("Gone", ""), "was deleted here"},
		} {
			file := clientFile(foreign("z", ""), c.line, foreign("y", ""))
			report, err := x.Import(ctx, x.importOf(file))
			if !errors.Is(err, registry.ErrImportFaults) || report.ErrorCount != 1 || report.Errors[0].Line != 3 || !strings.Contains(report.Errors[0].Problem, c.says) {
				t.Errorf("%s: %+v, %v; want line 3 and %q", name, report, err, c.says)
				continue
			}
			if text, _ := json.Marshal(report); strings.Contains(string(text), "hidden") {
				t.Errorf("%s: %s tells a secret", name, text)
			}
		}
		if !maps.Equal(x.everything(), before) {
			t.Error("something was written")
		}
		bad := strings.Repeat("{}\n", 150)
		if report := x.checks(clientFile(bad)); report.ErrorCount != 150 || len(report.Errors) != 100 {
			t.Errorf("%d errors, %d of them shown; want 150 and 100", report.ErrorCount, len(report.Errors))
		}
		var lines []string
		for n := range 4 {
			lines = append(lines, foreign(fmt.Sprint("n", n), ""))
		}
		odd := with(foreign("a b", `"issued_at":1,`), `"scope":"openid accounts",`, "")
		report := x.checks(clientFile(append(lines, odd)...))
		var warnings []string
		for _, w := range report.Warnings {
			warnings = append(warnings, w.Problem)
		}
		for _, says := range []string{"conformance tools", "metadata.scope", "clients_per_software"} {
			if !strings.Contains(strings.Join(warnings, "\n"), says) {
				t.Errorf("%q: no warning with %s", warnings, says)
			}
		}
	})
}

// TestUndoImport removes what an import has written, and nothing that has changed since.
func TestUndoImport(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ctx := x.t.Context()
		x.register(request("1", "t1"))
		before := x.everything()
		counts := x.counts()
		lines := []string{foreign("a", ""), foreign("Ünï", ""), foreign("s", `"suspended":true,`), foreign("d", `"software_statement":"e30.eyJzb2Z0d2FyZV9pZCI6InNvZnR3YXJlMSJ9.e30",`)}
		report := x.imports(clientFile(lines...))
		m, err := x.UndoImport(ctx, report.ID, importer)
		if err != nil || m.Undone != 4 || m.Kept != 0 || m.State != registry.ImportUndone {
			t.Fatalf("%+v, %v; want all undone", m, err)
		}
		if after := x.everything(); !maps.Equal(after, before) || !maps.Equal(x.counts(), counts) {
			t.Errorf("%v, %v; want what was there before the import", slices.Sorted(maps.Keys(after)), x.counts())
		}
		if len(x.keys("imported/")) > 0 {
			t.Error("it is still listed what was imported")
		}
		// And once more, with changes in between.
		for n := range 6 {
			lines = append(lines, foreign(fmt.Sprint("n", n), fmt.Sprintf(`"registration_access_token":"rat%d","registration_client_uri":"/reg/%d",`, n, n)))
		}
		report = x.imports(clientFile(lines...))
		x.as.set(func() {
			x.as.clients["n0"] = registry.Credentials{RegistrationAccessToken: "rat0", RegistrationPath: "/reg/0"}
			x.as.clients["n4"] = registry.Credentials{RegistrationAccessToken: "rat4", RegistrationPath: "/reg/4"}
		})
		if _, err := x.Update(ctx, x.ws, "n0", unauthorized(t, 1)); err != nil {
			t.Fatal(err)
		}
		x.as.set(func() { x.as.rotates = true })
		x.reconciles(registry.ReconcileOptions{})
		x.as.set(func() { x.as.rotates = false })
		if err := x.Delete(ctx, x.ws, "n1", registry.Presented{}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []registry.Suspension{{Kind: registry.SuspendClient, Value: "n2"}} {
			s.Workspace, s.Act = x.ws.Name, importer
			if err := x.Suspend(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
		x.settle()
		calls := len(x.as.calls)
		_, tag, err := x.ImportRecord(ctx, report.ID)
		act := importer
		act.Match = `"other"`
		if _, undoErr := x.UndoImport(ctx, report.ID, act); err != nil || !errors.Is(undoErr, registry.ErrChanged) {
			t.Errorf("%v, %v; want that it is another state", err, undoErr)
		}
		act.Match = tag
		if m, err = x.UndoImport(ctx, report.ID, act); err != nil || m.Kept != 3 || m.Undone != 6 {
			t.Errorf("%+v, %v; want those kept that have changed", m, err)
		}
		for id, want := range map[string]error{"n0": nil, "n1": nil, "n2": nil, "n3": registry.ErrNotFound, "n4": nil, "s": registry.ErrNotFound, "ünï": registry.ErrNotFound} {
			if _, err := x.Client(ctx, x.ws.Name, id); !errors.Is(err, want) || errors.Is(err, registry.ErrAlike) {
				t.Errorf("%s: %v, want %v", id, err, want)
			}
		}
		if len(x.as.calls) != calls {
			t.Errorf("the AS was asked: %v", x.as.calls[calls:])
		}
		if _, err := x.UndoImport(ctx, "nothing", importer); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
		if list, next, err := x.ImportRecords(ctx, "", 10); err != nil || next != "" || len(list) != 2 {
			t.Errorf("%+v, %v; want both imports", list, err)
		}
	})
}

// TestExportAndImport: what one gateway exports, another one with its keyset has as it was,
// with the secrets.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	keyset := newKeyset(t)
	var text bytes.Buffer
	var hash []byte
	runSealed(t, false, keyset, func(x *fixture) {
		x.as.set(func() { x.as.secret = func(string, string) string { return "secret-at-the-as" } })
		x.ws.AccessTokens = &registry.AccessTokens{}
		for n, method := range []string{"tls_client_auth", "client_secret_basic", "client_secret_jwt"} {
			in := unauthorized(t, n)
			in.Request.Raw = bytes.Replace(in.Request.Raw, []byte("eyJvcmdfaWQiOiJvIn0"), []byte("eyJvcmdfaWQiOiJvcmcxIn0"), 1) // org1
			in.Checked.Metadata.TokenEndpointAuthMethod = method
			if method != "tls_client_auth" {
				in.Checked.Metadata.TLSClientAuthSubjectDN = ""
			}
			hash = append(hash, x.register(in).SecretHash()...)
		}
		if n, err := x.Export(x.t.Context(), &text, registry.ClientExport{Secrets: true}); err != nil || n != 3 {
			t.Fatal(n, err)
		}
		for _, secret := range []string{"secret-at-the-as", "rat-"} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("the file has %s in clear", secret)
			}
		}
		if report := x.checks(bytes.NewReader(text.Bytes())); report.Present != 3 || report.ErrorCount != 0 {
			t.Errorf("%+v, want all there already", report)
		}
		var without bytes.Buffer
		if _, err := x.Export(x.t.Context(), &without, registry.ClientExport{Workspaces: []string{x.ws.Name}}); err != nil || strings.Contains(without.String(), "sealed") {
			t.Errorf("%v, %s; want no secrets", err, without.String())
		}
		if _, err := x.Export(x.t.Context(), io.Discard, registry.ClientExport{Workspaces: []string{"other"}}); err != nil {
			t.Error(err)
		}
	})
	runSealed(t, false, newKeyset(t), func(x *fixture) {
		if _, err := x.CheckImport(x.t.Context(), x.importOf(bytes.NewReader(text.Bytes()))); !errors.Is(err, registry.ErrSealedElsewhere) || !strings.Contains(err.Error(), "lacks its key") {
			t.Errorf("%v, want that another keyset is named once, and not line by line", err)
		}
	})
	runSealed(t, false, keyset, func(x *fixture) {
		ctx := x.t.Context()
		if report := x.imports(bytes.NewReader(text.Bytes())); report.Written != 3 || report.Bridge != 3 {
			t.Fatalf("%+v, want three in bridge mode", report)
		}
		var again bytes.Buffer
		if _, err := x.Export(ctx, &again, registry.ClientExport{}); err != nil {
			t.Fatal(err)
		}
		list, _, err := x.List(ctx, x.ws.Name, registry.ByTime, "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		var hashes []byte
		for _, c := range list {
			if secret, err := x.Secret(c); err != nil || secret != "secret-at-the-as" {
				t.Errorf("%s: %q, %v; want the secret at the AS", c.ClientID, secret, err)
			}
			if c.Metadata.TokenEndpointAuthMethod == "client_secret_jwt" {
				if _, err := x.SigningSecret(c); err != nil {
					t.Error(err)
				}
			}
			hashes = append(hashes, c.SecretHash()...)
			if len(c.AccessTokens) != 1 || c.Document == "" || !x.details(c).Claims.Has("n") {
				t.Errorf("%+v: its registration access token or its request is missing", c)
			}
		}
		if !bytes.Equal(hashes, hash) {
			t.Error("the clients' own secrets are others")
		}
	})
}

// crowdFile is a file of many clients that is made while it is read.
type crowdFile struct {
	n, at int
	left  []byte
}

func (f *crowdFile) Read(p []byte) (int, error) {
	if len(f.left) == 0 {
		switch {
		case f.at > f.n:
			return 0, io.EOF
		case f.at == 0:
			f.left = []byte(fileHeader)
		default:
			f.left = []byte(foreign(fmt.Sprintf("client-%06d", f.at), ""))
		}
		f.at++
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}

func (f *crowdFile) Seek(int64, int) (int64, error) {
	f.at, f.left = 0, nil
	return 0, nil
}

// TestCrowdIsCheckedInFlatMemory: 25,000 clients take little more than their names.
func TestCrowdIsCheckedInFlatMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads 15 MB")
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: memory.Open(memory.Options{}), Sealer: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	x := &fixture{Registry: r, t: t, ws: registry.Workspace{Name: "default/obuk"}}
	o := x.importOf(&crowdFile{n: 25_000})
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most := uint64(0)
	o.Progress = func(checked, _ int) {
		if checked%6_400 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	report, err := r.CheckImport(t.Context(), o)
	if err != nil || report.New != 25_000 || report.ErrorCount != 0 {
		t.Fatalf("%+v, %v; want 25,000 new ones", report, err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("it takes %d MB, want less than 8", grown>>20)
	}
}

// TestImportEndsWithItsCaller, and the same file goes on with it: 400 clients.
func TestImportEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ctx, cancel := context.WithCancel(x.t.Context())
		o := x.importOf(&crowdFile{n: 400})
		o.Progress = func(checked, written int) {
			if written > 0 {
				cancel()
			}
		}
		report, err := x.Import(ctx, o)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%+v, %v; want that it was ended", report, err)
		}
		if m, _, err := x.ImportRecord(x.t.Context(), report.ID); err != nil || m.State != registry.ImportWriting {
			t.Errorf("%+v, %v; want that it has not ended", m, err)
		}
		first := len(x.keys("imported/"))
		again := x.imports(&crowdFile{n: 400})
		if again.ID != report.ID || again.Imported != first || again.Written != 400-first || first == 0 || first == 400 {
			t.Errorf("%+v after %d, want the rest of 400", again, first)
		}
		if m, _, err := x.ImportRecord(x.t.Context(), report.ID); err != nil || m.State != registry.ImportDone || m.Written != 400 {
			t.Errorf("%+v, %v; want all written", m, err)
		}
		end := time.Now().Add(registry.ImportRetention + time.Hour)
		if err := x.store.View(x.t.Context(), func(v registry.Reader) error {
			entries, err := v.Scan("imported/", "", 1000)
			for _, e := range entries {
				if e.Expires.IsZero() || e.Expires.After(end) {
					t.Errorf("%s is left after the time in which it can be undone", e.Key)
				}
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

// TestImportOfLargeMetadata: clients with as much metadata as a line may have do not meet in one
// update that is too large.
func TestImportOfLargeMetadata(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		scope := strings.Repeat(" scope", 200<<10/6)
		var lines []string
		for _, id := range []string{"a", "b", "c", "d"} {
			lines = append(lines, strings.Replace(foreign(id, ""), `"openid accounts"`, `"openid`+scope+`"`, 1))
		}
		if report := x.imports(clientFile(lines...)); report.Written != 4 {
			t.Errorf("%+v, want all written", report)
		}
		escaped := strings.Replace(foreign("e", ""), `"openid accounts"`, `"`+strings.Repeat("<", 200<<10)+`"`, 1) // six times as long in the store
		if report := x.checks(clientFile(escaped)); report.ErrorCount != 1 || !strings.Contains(report.Errors[0].Problem, "bytes in the store") {
			t.Errorf("%+v, want it refused", report)
		}
	})
}

// TestImportOfSuspendedClientThatIsThere: an import that reports a suspended client as already
// there has found it suspended.
func TestImportOfSuspendedClientThatIsThere(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.imports(clientFile(foreign("a", `"issued_at":900000000,`)))
		line := clientFile(foreign("a", `"issued_at":900000000,"suspended":true,`))
		if report := x.checks(line); report.Present != 0 || report.ErrorCount != 1 || !strings.Contains(report.Errors[0].Problem, "is not suspended") {
			t.Errorf("%+v, want that it is not suspended", report)
		}
		for _, s := range []registry.Suspension{{Kind: registry.SuspendOrganisation, Value: "org1"}, {Kind: registry.SuspendClient, Value: "a"}} {
			s.Workspace, s.Act = x.ws.Name, importer
			if err := x.Suspend(x.t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if report := x.checks(line); report.Present != 1 || report.ErrorCount != 0 {
				t.Errorf("%s: %+v, want that it is there", s.Kind, report)
			}
			if err := x.Resume(x.t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	})
}
