package contract

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file is a specification as small as Check needs, in the form of the official ones.
const file = `openapi: 3.0.1
info: {title: t, version: v}
paths:
  /register:
    post:
      responses:
        '201':
          description: registered
          content:
            application/json:
              schema:
                allOf:
                  - type: object
                    required: [iss, name]
                    properties:
                      name: {type: string, pattern: '^(?=.{1,3}$)[a-z]+$'}
                      uri: {type: array, items: {type: string, format: uri}}
                      statement: {type: string, format: JWT}
                      application_type: {type: string, enum: [web, mobile]}
                  - required: [client_id]
        '401':
          description: no
          headers:
            WWW-Authenticate:
              schema: {type: string, pattern: '^Bearer .*'}
`

// TestCheck: what violates a specification is seen, also with a pattern that Go's
// regexp does not know, and a known disagreement is told once no answer shows it.
func TestCheck(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "client-registration-openapi-v3.2.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(folder, "3.2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder, "3.3"); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	json := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	for _, c := range []struct {
		name   string
		answer Answer
		want   string // in the only violation; empty: none
	}{
		{"good", Answer{"POST", "", 201, json, []byte(`{"iss":"i","name":"abc","client_id":"1"}`)}, ""},
		{"known", Answer{"POST", "", 201, json, []byte(`{"name":"abc","client_id":"1"}`)}, ""},
		{"missing", Answer{"POST", "", 201, json, []byte(`{"name":"abc","iss":"i"}`)}, `/client_id property "client_id" is missing`},
		{"lookahead", Answer{"POST", "", 201, json, []byte(`{"name":"abcd","iss":"i","client_id":"1"}`)}, "/name string doesn't match the regular expression"},
		{"type", Answer{"POST", "", 201, json, []byte(`{"name":1,"iss":"i","client_id":"1"}`)}, "/name value must be a string"},
		{"formats", Answer{"POST", "", 201, json, []byte(`{"name":"abc","iss":"i","client_id":"1","uri":["https://a/b"],"statement":"a-_.b."}`)}, ""},
		{"known value", Answer{"POST", "", 201, json, []byte(`{"name":"abc","iss":"i","client_id":"1","application_type":"native"}`)}, ""},
		{"another value than the known", Answer{"POST", "", 201, json, []byte(`{"name":"abc","iss":"i","client_id":"1","application_type":"x"}`)}, "/application_type value is not one"},
		{"no URI", Answer{"POST", "", 201, json, []byte(`{"name":"abc","iss":"i","client_id":"1","uri":["https://a/b","/b"]}`)}, "/uri/1 "},
		{"no JWT", Answer{"POST", "", 201, json, []byte(`{"name":"abc","iss":"i","client_id":"1","statement":"a.b"}`)}, "/statement "},
		{"not JSON", Answer{"POST", "", 201, json, []byte(`{`)}, "the body is not JSON"},
		{"media type", Answer{"POST", "", 201, http.Header{"Content-Type": {"text/html"}}, []byte(`{}`)}, "the media type text/html is not listed"},
		{"no media type", Answer{"POST", "", 201, nil, []byte(`{}`)}, "no media type"},
		{"status", Answer{"POST", "", 500, json, nil}, "the status 500 is not listed"},
		{"method", Answer{"PATCH", "", 200, json, nil}, "the method is not listed"},
		{"challenge", Answer{"POST", "", 401, http.Header{"Www-Authenticate": {`Bearer realm="x"`}}, nil}, ""},
		{"no challenge", Answer{"POST", "", 401, nil, nil}, "header WWW-Authenticate"},
	} {
		got := s.Check(c.answer)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	s.RequestClaims = true
	for body, want := range map[string]int{`{"name":"abc","client_id":"1"}`: 1, `{"iss":"i","name":"abc","client_id":"1"}`: 0} {
		if got := s.Check(Answer{"POST", "", 201, json, []byte(body)}); len(got) != want {
			t.Errorf("with the claims of requests, %s: %q", body, got)
		}
	}
	s.RequestClaims = false
	if f := s.Forgotten(); len(f) == 0 || slices.ContainsFunc(f, func(text string) bool { return strings.Contains(text, "/iss") }) {
		t.Errorf("forgotten: %q", f)
	}
}
