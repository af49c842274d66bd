package integration_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// schemaOf is docs/client-file.schema.json, and what it compiles to.
func schemaOf(t *testing.T) (document map[string]any, schema *jsonschema.Schema) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout.Root(), "docs", "client-file.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource("client-file.schema.json", value); err != nil {
		t.Fatal(err)
	}
	if schema, err = c.Compile("client-file.schema.json"); err != nil {
		t.Fatal(err)
	}
	return value.(map[string]any), schema
}

func at(of any, path ...string) map[string]any {
	for _, name := range path {
		of, _ = of.(map[string]any)[name]
	}
	found, _ := of.(map[string]any)
	return found
}

// TestClientFileSchema: the schema has the members that the gateway reads and writes, no others,
// and of the same kind; and takes what it takes.
func TestClientFileSchema(t *testing.T) {
	document, schema := schemaOf(t)
	for name, of := range map[string]struct {
		is         reflect.Type
		properties map[string]any
	}{
		"header":   {reflect.TypeFor[clientfile.Header](), at(document, "$defs", "header", "properties")},
		"client":   {reflect.TypeFor[clientfile.Client](), at(document, "$defs", "client", "properties")},
		"metadata": {reflect.TypeFor[verify.Metadata](), at(document, "$defs", "client", "properties", "metadata", "properties")},
	} {
		for i := range of.is.NumField() {
			field := of.is.Field(i)
			member, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			described := at(of.properties, member)
			if described == nil {
				t.Errorf("%s: %s is not described", name, member)
				continue
			}
			delete(of.properties, member)
			kind, wants := described["type"], kindOf(field.Type)
			if kind == nil { // of one or several constants
				values, _ := described["enum"].([]any)
				values = append(values, described["const"])
				kind = map[bool]string{true: "string", false: "integer"}[reflect.TypeOf(values[0]) == reflect.TypeFor[string]() || reflect.TypeOf(values[len(values)-1]) == reflect.TypeFor[string]()]
			}
			if kind != wants {
				t.Errorf("%s: %s is described as %v, and is %s", name, member, kind, wants)
			}
		}
		for member := range of.properties {
			t.Errorf("%s: %s is described, and nobody reads it", name, member)
		}
	}
	for _, line := range lines(t) {
		if err := valid(schema, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range []string{
		`{}`, `[]`, `{"format":"openbanking_dcr_clients"}`, `{"format":"openbanking_dcr_clients","version":2}`, `{"end":{"clients":1}}`,
		`{"client_id":"a","software_id":"s","org_id":"o","directory":"d"}`, `{"client_id":"a","software_id":"s","org_id":"o","directory":"d","metadata":{}}`,
		`{"client_id":"a","software_id":"s","org_id":"o","directory":"d","metadata":{"token_endpoint_auth_method":"tls_client_auth"},"secret":"x"}`,
	} {
		if valid(schema, line) == nil {
			t.Errorf("%s is valid, want it refused", line)
		}
	}
}

func kindOf(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return kindOf(t.Elem())
	case t == reflect.TypeFor[time.Time](), t == reflect.TypeFor[[]byte](), t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Slice:
		return "array"
	case t.Kind() == reflect.Struct:
		return "object"
	}
	return "integer"
}

func valid(schema *jsonschema.Schema, line string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// lines are those of a file that has every member, and those of docs/import.md.
func lines(t *testing.T) []string {
	t.Helper()
	all := clientfile.Client{}
	fill(reflect.ValueOf(&all).Elem())
	all.Status, all.Bridge, all.Metadata.TokenEndpointAuthMethod = "active", "client_secret_basic", "tls_client_auth"
	all.RegistrationAccessToken, all.ClientSecret = "", ""
	var b bytes.Buffer
	w, err := clientfile.NewWriter(&b, clientfile.Header{Time: time.Now(), Workspaces: []string{"w"}, Sealed: true, KeysetIDs: []uint32{1}}, 1)
	line, lineErr := clientfile.Line(&all)
	if err := errors.Join(err, lineErr, w.Put(line), w.Close()); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(checkout.Root(), "docs", "import.md"))
	if err != nil {
		t.Fatal(err)
	}
	var example []string
	for line := range strings.Lines(string(page)) {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, "{") {
			example = append(example, text)
		}
	}
	if len(example) != 2 {
		t.Fatalf("docs/import.md has %d lines of a file, want 2", len(example))
	}
	r, err := clientfile.NewReader(strings.NewReader(strings.Join(example, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := r.Next(); err != nil || c.RegistrationAccessToken == "" {
		t.Errorf("the example of docs/import.md: %+v, %v", c, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the example of docs/import.md: %v, want its end", err)
	}
	return slices.Concat(strings.Split(strings.TrimSpace(b.String()), "\n"), example)
}

// fill sets every member.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Type().Elem().Kind() == reflect.String {
			v.Index(0).SetString("x")
		}
	}
}
