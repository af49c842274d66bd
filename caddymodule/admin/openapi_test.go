package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/docs"
)

// described is what docs/admin-api.json says of a call.
type described struct {
	Parameters  []parameter                `json:"parameters"`
	RequestBody json.RawMessage            `json:"requestBody"`
	Responses   map[string]json.RawMessage `json:"responses"`
}

type parameter struct {
	Ref      string `json:"$ref"`
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
}

// description is the calls of docs/admin-api.json by method and path, with their parameters.
func description(t *testing.T) map[string]described {
	t.Helper()
	var file struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Parameters map[string]parameter }
	}
	if err := json.Unmarshal(docs.AdminAPI, &file); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(file.OpenAPI, "3.1.") {
		t.Errorf("OpenAPI %q, want 3.1", file.OpenAPI)
	}
	calls := map[string]described{}
	for path, item := range file.Paths {
		for method, text := range item {
			if method == "parameters" {
				continue
			}
			var one described
			if err := json.Unmarshal(text, &one); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			var shared []parameter
			if item["parameters"] != nil {
				if err := json.Unmarshal(item["parameters"], &shared); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
			one.Parameters = append(one.Parameters, shared...)
			for i, p := range one.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					one.Parameters[i] = file.Components.Parameters[name]
				}
			}
			calls[strings.ToUpper(method)+" "+strings.TrimPrefix(path, "/")] = one
		}
	}
	return calls
}

// TestDescriptionHasEveryCall, and no other; and its path parameters, and whether it has a body.
func TestDescriptionHasEveryCall(t *testing.T) {
	calls := description(t)
	if has := slices.Sorted(maps.Keys(calls)); !slices.Equal(has, names()) {
		t.Errorf("described are\n%s\nserved are\n%s", strings.Join(has, "\n"), strings.Join(names(), "\n"))
	}
	for _, way := range routes {
		one := calls[way.method+" "+way.path]
		if has := one.RequestBody != nil; has != way.body {
			t.Errorf("%s %s has a body: described %t, served %t", way.method, way.path, has, way.body)
		}
		for _, p := range one.Parameters {
			if p.In == "path" && !strings.Contains(way.path, "{"+p.Name+"}") || p.Name == "" {
				t.Errorf("%s %s has no parameter %q", way.method, way.path, p.Name)
			}
		}
		if one.Responses["405"] == nil {
			t.Errorf("%s %s: 405 is not described", way.method, way.path)
		}
		if n := strings.Count(way.path, "{"); n != len(slices.DeleteFunc(slices.Clone(one.Parameters), func(p parameter) bool { return p.In != "path" })) {
			t.Errorf("%s %s has %d path parameters; not all are described", way.method, way.path, n)
		}
	}
}

// TestDescriptionHasTheParameters: a call takes those of the query that are described, and no
// other, and needs those that are described as required.
func TestDescriptionHasTheParameters(t *testing.T) {
	start(t)
	calls := description(t)
	inQuery := map[string]map[string]bool{} // whether it is required, by call and parameter
	all := map[string]bool{}
	for name, one := range calls {
		inQuery[name] = map[string]bool{}
		for _, p := range one.Parameters {
			if p.In == "query" {
				inQuery[name][p.Name], all[p.Name] = p.Required, true
			}
		}
	}
	if len(all) < 15 {
		t.Fatalf("%v: not all parameters are found", all)
	}
	for name := range calls {
		for parameter := range all {
			required, described := inQuery[name][parameter]
			_, says := asks(t, name, parameter+"=x", good[name].body)
			if unknown := strings.Contains(says, "unknown parameter"); unknown == described {
				t.Errorf("%s, %s: unknown %t, described %t", name, parameter, unknown, described)
			}
			if _, says := asks(t, name, "", good[name].body); strings.Contains(says, parameter+" is missing") && !required {
				t.Errorf("%s needs %s, which is not described as required", name, parameter)
			}
			if !required {
				continue
			}
			var others []string
			for other, required := range inQuery[name] {
				if required && other != parameter {
					others = append(others, other+"=x")
				}
			}
			if status, says := asks(t, name, strings.Join(others, "&"), good[name].body); status != http.StatusBadRequest || !strings.Contains(says, parameter+" is missing") {
				t.Errorf("%s without %s: %d %s, want that it is missing", name, parameter, status, says)
			}
		}
	}
}
