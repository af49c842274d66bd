package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDecodeConfig(t *testing.T) {
	const good = `{"caddy_version":"v2.11.9","plugins":[{"module_path":"m","version":"v0.0.0"}],"replacements":[{"old":"m","new":"."}]}`
	for name, test := range map[string]struct{ config, want string }{
		"good":                           {good, ""},
		"unknown field":                  {`{"caddy_version":"v1","plugin":[]}`, `unknown field "plugin"`},
		"unknown field below":            {`{"caddy_version":"v1","plugins":[{"path":"m"}]}`, `unknown field "path"`},
		"not JSON":                       {`caddy_version: v1`, "invalid character"},
		"empty":                          {``, "EOF"},
		"wrong type":                     {`{"caddy_version":2}`, "cannot unmarshal number"},
		"two objects":                    {good + good, "something follows"},
		"no Caddy version":               {`{}`, "caddy_version is missing"},
		"plugin without a path":          {`{"caddy_version":"v1","plugins":[{"version":"v1"}]}`, "plugins[0]: module_path is missing"},
		"plugin without a version":       {`{"caddy_version":"v1","plugins":[{"module_path":"m"}]}`, "plugins[0]: version is missing"},
		"replacement without its target": {`{"caddy_version":"v1","replacements":[{"old":"m"}]}`, "replacements[0]: old or new is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeConfig([]byte(test.config), "/src")
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestRelativePaths(t *testing.T) {
	builder, err := decodeConfig([]byte(`{"caddy_version":"v1","embed_dir":[{"dir":"site"}],"replacements":[
		{"old":"a","new":"."}, {"old":"b","new":"../b"}, {"old":"c","new":"/abs/c"}, {"old":"d","new":"example.com/d v1.2.3"}]}`), "/src/x")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range builder.Replacements {
		got = append(got, r.New.String())
	}
	got = append(got, builder.EmbedDirs[0].Dir)
	if want := "/src/x /src/b /abs/c example.com/d v1.2.3 /src/x/site"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRepositoryConfig: the file of this repository builds this repository.
func TestRepositoryConfig(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	file, err := findConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	builder, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(builder.Replacements[0].New.String(), "plugin.go")); err != nil {
		t.Error(err)
	}
	if _, err := findConfig(t.TempDir()); err == nil {
		t.Error("a file was found where there is none")
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	for _, line := range []string{"x [INFO] Initializing Go module", "x [INFO] exec (timeout=0s): /go get -v", "x [INFO] exec (timeout=0s): /go build -o /caddy -trimpath"} {
		if _, err := io.WriteString(p, line); err != nil {
			t.Fatal(err)
		}
	}
	p.end()
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "] prepare a module\n") || !strings.Contains(got, "] compile and link\n") {
		t.Errorf("got %q, want two lines: prepare a module, compile and link", got)
	}
}
