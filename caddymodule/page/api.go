package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
)

// API is the admin API of a gateway.
type API interface {
	// Call makes a call. Its error is a *Refused, or one of reaching the gateway.
	Call(ctx context.Context, c Call) (*Answer, error)
}

// Call is one call of the admin API.
type Call struct {
	Method string
	// Path is below /openbanking_dcr/, escaped.
	Path  string
	Query url.Values
	// Reason is why a change is made, and Match the entity tag that it is for. Both are
	// empty for GET.
	Reason, Match string
}

// Answer is what the gateway has answered, with a 2xx status.
type Answer struct {
	Status int
	// Tag is the entity tag of what is in Body.
	Tag  string
	Body json.RawMessage
}

// Refused is what the gateway has answered otherwise.
type Refused struct {
	Status int
	Text   string
}

func (r *Refused) Error() string { return r.Text }

// refusedWith tells whether the gateway has answered with a status.
func refusedWith(err error, status int) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Status == status
}

// get asks for a resource, and reads it.
func get[T any](ctx context.Context, api API, path string, query url.Values) (value T, tag string, err error) {
	answer, err := api.Call(ctx, Call{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return value, "", err
	}
	if err := json.Unmarshal(answer.Body, &value); err != nil {
		return value, "", fmt.Errorf("the gateway's answer is not what this page knows: %w", err)
	}
	return value, answer.Tag, nil
}

// apiPath is a path of the admin API: each part is percent-encoded.
func apiPath(parts ...string) string {
	for n, part := range parts {
		// Servers take a dot alone, or two, for a step through the path.
		parts[n] = strings.ReplaceAll(url.PathEscape(part), ".", "%2E")
	}
	return strings.Join(parts, "/")
}

// inProcess is the admin API of the gateway in this process.
type inProcess struct {
	app *caddymodule.App
	by  operator
}

// Call makes a call as the operator, whom the page has authenticated.
func (a inProcess) Call(ctx context.Context, c Call) (*Answer, error) {
	var body io.Reader
	if c.Method != http.MethodGet {
		text, err := json.Marshal(map[string]string{"reason": c.Reason})
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, "http://localhost/openbanking_dcr/"+c.Path+"?"+c.Query.Encode(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if c.Match != "" {
		r.Header.Set("If-Match", c.Match)
	}
	w := &answerWriter{header: http.Header{}, status: http.StatusOK}
	if err := admin.Serve(w, r, a.app, a.by.Operator); err != nil {
		refused := &Refused{Status: http.StatusInternalServerError, Text: err.Error()}
		var known caddy.APIError
		if errors.As(err, &known) {
			refused = &Refused{Status: known.HTTPStatus, Text: known.Err.Error()}
		}
		return nil, refused
	}
	return &Answer{Status: w.status, Tag: w.header.Get("Etag"), Body: w.body.Bytes()}, nil
}

// answerWriter keeps an answer.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header         { return w.header }
func (w *answerWriter) WriteHeader(status int)      { w.status = status }
func (w *answerWriter) Write(p []byte) (int, error) { return w.body.Write(p) }
