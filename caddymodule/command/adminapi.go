package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// adminAPI is the admin API of one gateway.
type adminAPI struct {
	// address is what an operator has given, origin where requests go.
	address, origin string
	client          *http.Client
	// sendsOrigin: the gateway has refused a call without Origin.
	sendsOrigin bool
}

// apiCall is one call of the admin API.
type apiCall struct {
	method string
	// path is below /openbanking_dcr/, see apiPath.
	path  string
	query url.Values
	// body is sent as JSON; nil for none. file is sent in its place, as JSON lines.
	body any
	file *os.File
	// match is the entity tag that a change is for (RFC 9110 13.1.1).
	match string
	// patience is how long the answer may take. Default: answerPatience.
	patience time.Duration
}

// apiAnswer is what the gateway answers with a 2xx status. Its body is JSON, or empty.
type apiAnswer struct {
	status int
	// tag is the entity tag of what is in the body.
	tag  string
	body json.RawMessage
}

// apiPath is a path of the admin API: each part is percent-encoded.
func apiPath(parts ...string) string {
	for n, part := range parts {
		// Servers take a dot alone, or two, for a step through the path.
		parts[n] = strings.ReplaceAll(url.PathEscape(part), ".", "%2E")
	}
	return strings.Join(parts, "/")
}

// maxAnswer bounds an answer in bytes: a hundred registrations have 14 MB at most.
const maxAnswer = 64 << 20

// do makes a call. What is no answer of a gateway is an error of statusUnreachable.
func (a *adminAPI) do(ctx context.Context, call apiCall) (*apiAnswer, error) {
	patience := call.patience
	if patience == 0 {
		patience = answerPatience
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := a.send(limited, call)
	if err != nil {
		return nil, interrupted(ctx, call, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, interrupted(ctx, call, unreachable("the answer of the admin API at %s was cut off: %w", a.address, err))
	case len(body) > maxAnswer:
		return nil, unreachable("the admin API at %s answers with more than %d bytes: no gateway does; %s", a.address, maxAnswer, giveAddress)
	case len(bytes.TrimSpace(body)) == 0:
		body = nil
	case !json.Valid(body):
		return nil, unreachable("the admin API at %s answers with what is no JSON: no gateway does; %s", a.address, giveAddress)
	}
	return &apiAnswer{status: r.StatusCode, tag: r.Header.Get("Etag"), body: body}, nil
}

// send makes a call, and gives an answer that has a 2xx status to be read: for what is long,
// or no JSON. The caller closes its body.
func (a *adminAPI) send(ctx context.Context, call apiCall) (*http.Response, error) {
	answer, err := a.try(ctx, call)
	if err == nil && answer.StatusCode == http.StatusForbidden && !a.sendsOrigin {
		// Caddy demands it with enforce_origin, and otherwise refuses the one of an address that
		// it does not listen at by name.
		answer.Body.Close()
		a.sendsOrigin = true
		answer, err = a.try(ctx, call)
	}
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, a.refusal(ctx, call, answer)
}

func (a *adminAPI) try(ctx context.Context, call apiCall) (*http.Response, error) {
	target := a.origin + apiPrefix + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	var body io.Reader
	if call.body != nil {
		text, err := json.Marshal(call.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	kind := "application/json"
	if call.file != nil {
		body, kind = io.NopCloser(call.file), "application/x-ndjson" // another call may send it again
	}
	r, err := http.NewRequestWithContext(ctx, call.method, target, body)
	if err != nil {
		return nil, usage("--address: %w", err)
	}
	if a.sendsOrigin {
		r.Header.Set("Origin", a.origin)
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	if call.match != "" {
		r.Header.Set("If-Match", call.match)
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, interrupted(ctx, call, a.noAnswer(err))
	}
	return answer, nil
}

// apiPrefix is in front of every path of the admin API.
const apiPrefix = "/openbanking_dcr/"

// decode reads an answer.
func decode[T any](a *apiAnswer) (value T, err error) {
	if err := json.Unmarshal(a.body, &value); err != nil {
		return value, unreachable("the gateway's answer is not what this version of the command knows: %w; %s", err, sameVersion)
	}
	return value, nil
}

// get asks for a resource, and decodes it.
func get[T any](ctx context.Context, a *adminAPI, path string, query url.Values) (value T, answer *apiAnswer, err error) {
	if answer, err = a.do(ctx, apiCall{method: http.MethodGet, path: path, query: query}); err != nil {
		return value, nil, err
	}
	value, err = decode[T](answer)
	return value, answer, err
}

// interrupted is an error, or that the operator ended the call (Ctrl-C).
func interrupted(ctx context.Context, call apiCall, err error) error {
	switch {
	case !errors.Is(ctx.Err(), context.Canceled):
		return err
	case call.method == http.MethodGet:
		return errors.New("interrupted")
	}
	return errInterrupted
}

var errInterrupted = errors.New("interrupted; what the gateway was asked for last may be done")
