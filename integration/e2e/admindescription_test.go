package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// description is the admin API's own, as the gateway serves it.
type description struct {
	t        *testing.T
	document map[string]any
	compiler *jsonschema.Compiler
}

func described(t *testing.T, p *story.Play) *description {
	t.Helper()
	status, raw, err := p.Operator(t.Context(), http.MethodGet, "openapi.json", "")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	d := &description{t, document.(map[string]any), jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020) // that of OpenAPI 3.1
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	return d
}

// answers fails unless an answer is one that is described: its status, and its body.
func (d *description) answers(method, path string, status int, body []byte) {
	d.t.Helper()
	escaped := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path)
	at := "openapi.json#/paths/" + escaped + "/" + strings.ToLower(method) + "/responses/" + strconv.Itoa(status)
	responses := d.document["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)["responses"].(map[string]any)
	response, ok := responses[strconv.Itoa(status)].(map[string]any)
	if !ok {
		d.t.Errorf("%s %s answers %d, which is not described: %s", method, path, status, body)
		return
	}
	if shared, ok := response["$ref"].(string); ok {
		at = "openapi.json" + shared
		name := strings.TrimPrefix(shared, "#/components/responses/")
		response = d.document["components"].(map[string]any)["responses"].(map[string]any)[name].(map[string]any)
	}
	if response["content"] == nil {
		if len(body) > 0 {
			d.t.Errorf("%s %s answers %d with %s, want no body", method, path, status, body)
		}
		return
	}
	schema, err := d.compiler.Compile(at + "/content/application~1json/schema")
	if err != nil {
		d.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		d.t.Fatalf("%s %s: %v in %s", method, path, err, body)
	}
	if err := schema.Validate(value); err != nil {
		d.t.Errorf("%s %s answers otherwise than it is described: %v\n%s", method, path, err, body)
	}
}

// TestAdminAnswersAsDescribed: a running gateway answers as docs/admin-api.json says, also
// while something waits for the AS, and what it refuses.
func TestAdminAnswersAsDescribed(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, token, body := updating(t, p)
		r, err := p.Client(p.Acme).Update(t.Context(), p.Register, id, token, body)
		answered(t, r, err, http.StatusOK, "")
		d := described(t, p)
		get := func(path, call string) {
			t.Helper()
			status, answer, err := p.Operator(t.Context(), http.MethodGet, call, "")
			if err != nil {
				t.Fatal(err)
			}
			d.answers(http.MethodGet, path, status, answer)
		}
		change := func(path, resource, name, reason string, want int) {
			t.Helper()
			status, answer, err := p.Change(t.Context(), resource, name, reason)
			if err != nil || status != want {
				t.Fatalf("%s %s: %d %s, %v; want %d", name, resource, status, answer, err, want)
			}
			d.answers(http.MethodPost, path+"/"+name, status, answer)
			get("/clients/{client_id}", "clients/"+id)
			get(path, resource)
		}
		get("/openapi.json", "openapi.json")
		for _, holder := range [][2]string{{"software", p.Acme.SoftwareID}, {"organisations", p.Acme.OrgID}, {"directories", "OpenBanking%20Ltd"}} {
			path, resource := "/"+holder[0]+"/{id}", holder[0]+"/"+holder[1]
			get(path, resource)
			change(path, resource, "suspend", "fraud", 200)
			change(path, resource, "resume", "cleared", 200)
			change(path, resource, "resume", "cleared", 404)
		}
		const client = "/clients/{client_id}"
		change(client, "clients/"+id, "suspend", "fraud", 200)
		for _, call := range []string{"status", "status?x=y", "clients", "clients?suspended=true&name=acme", "clients?limit=0", "clients?workspace=nowhere", "clients?cursor=x"} {
			path, _, _ := strings.Cut("/"+call, "?")
			get(path, call)
		}
		for _, call := range []string{"nobody", "nobody?workspace=nowhere", id + "?x=y"} {
			get(client, "clients/"+call)
		}
		for _, body := range []string{"", `{"reason":"fraud","operator":"Anna"}`} { // no media type, and no tag
			status, answer, err := p.Operator(t.Context(), http.MethodPost, "clients/"+id+"/resume", body)
			if err != nil {
				t.Fatal(err)
			}
			d.answers(http.MethodPost, client+"/resume", status, answer)
		}
		change(client, "clients/"+id, "rotate_secret", "rotation", 409)
		change(client, "clients/"+id, "resume", "cleared", 200)
		post := func(path, call, body string, want int) {
			t.Helper()
			status, answer, err := p.Operator(t.Context(), http.MethodPost, call, body)
			if err != nil || status != want {
				t.Errorf("%s: %d %s, %v; want %d", call, status, answer, err, want)
			}
			d.answers(http.MethodPost, path, status, answer)
		}
		const rotation = `{"reason":"rotation","operator":"Anna"}`
		post("/secrets/rotate", "secrets/rotate", rotation, 200)
		post("/epoch/confirm", "epoch/confirm", rotation, 428)
		get("/epoch", "epoch")
		get("/keys", "keys")
		for _, k := range listed(t, p, "keys") {
			one := "keys/" + k["id"].(string)
			get("/keys/{id}", one)
			post("/keys/{id}/refresh", one+"/refresh", rotation, 200)
		}
		if err := p.AS.Kill(); err != nil {
			t.Fatal(err)
		}
		status, answer, err := p.Change(t.Context(), "clients/"+id, "delete", "contract ended")
		var seen struct{ Status string }
		if err != nil || status != http.StatusOK || json.Unmarshal(answer, &seen) != nil || seen.Status != "deleting" {
			t.Fatalf("%d %s, %v; want 200 and a client that is deleting, as its AS is gone", status, answer, err)
		}
		d.answers(http.MethodPost, client+"/delete", status, answer)
		get(client, "clients/"+id)
		get("/status", "status")
		get("/clients", "clients?status=deleting")
		get("/outbox", "outbox")
		for _, e := range listed(t, p, "outbox") {
			const path = "/outbox/{id}"
			one := "outbox/" + e["id"].(string)
			get(path, one)
			for _, name := range []string{"retry", "give_up"} {
				err := story.Eventually(t.Context(), 20*time.Second, func() error { // an attempt may be under way
					status, answer, err := p.Change(t.Context(), one, name, "the AS is gone")
					if err == nil {
						d.answers(http.MethodPost, path+"/"+name, status, answer)
						if status >= 300 {
							err = fmt.Errorf("%s %s: %d %s", name, one, status, answer)
						}
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		}
		get(client, "clients/"+id)
		list := listed(t, p, "discrepancies")
		if len(list) == 0 {
			t.Error("what was given up is not listed")
		}
		for _, e := range list {
			const path = "/discrepancies/{kind}/{registration}"
			one := fmt.Sprint("discrepancies/", e["kind"], "/", e["registration"])
			get(path, one)
			status, answer, err := p.Change(t.Context(), one, "dismiss", "looked at the AS")
			if err != nil || status != http.StatusNoContent {
				t.Errorf("%s: %d %s, %v; want 204", one, status, answer, err)
			}
			d.answers(http.MethodPost, path+"/dismiss", status, answer)
			get(path, one)
		}
	})
}
