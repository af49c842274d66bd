package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// What to do where no gateway answers, or one that does not know the command.
const (
	giveAddress = "give the gateway's admin address with --address, or its configuration with --config"
	sameVersion = "use the caddy binary that the gateway runs with"
)

// refusedError is a refusal of the gateway.
type refusedError struct {
	// status is that of HTTP, says what the gateway says.
	status int
	says   string
}

func (e *refusedError) Error() string { return "the gateway says: " + e.says }

// refusedWith tells whether the gateway refuses with this status of HTTP.
func refusedWith(err error, status int) bool {
	e, ok := errors.AsType[*refusedError](err)
	return ok && e.status == status
}

// noAnswer is the error where nothing answers at the address.
func (a *adminAPI) noAnswer(err error) error {
	return unreachable("the admin API at %s does not answer: %w; is the gateway running, on this machine, and without admin off in its configuration? If it is, %s", a.address, err, giveAddress)
}

// maxRefusal bounds what is read of a refusal, in bytes.
const maxRefusal = 64 << 10

// refusal is the error for an answer without a 2xx status.
func (a *adminAPI) refusal(ctx context.Context, call apiCall, answer *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if err != nil {
		return unreachable("the answer of the admin API at %s was cut off: %w", a.address, err)
	}
	var says struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &says) != nil || says.Error == "" {
		return unreachable("the admin API at %s answers with HTTP %d, and not as a gateway does: is it an admin address, and of a caddy with openbanking_dcr (caddy list-modules)? %s", a.address, answer.StatusCode, giveAddress)
	}
	refused := &refusedError{status: answer.StatusCode, says: says.Error}
	switch {
	case answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusMethodNotAllowed:
		refused.notFound(call)
		return a.missing(ctx, call, refused)
	case answer.StatusCode == http.StatusBadRequest && call.method == http.MethodGet:
		return wrongUse(refused) // of a flag: nothing else is in the call
	}
	return refused
}

// listings are the commands that list what is below a path of the admin API.
var listings = map[string]struct{ noun, command string }{
	"clients":       {"client", "caddy dcr clients list"},
	"outbox":        {"entry of the outbox", "caddy dcr outbox list"},
	"discrepancies": {"discrepancy", "caddy dcr discrepancies"},
	"keys":          {"key set", "caddy dcr keys list"},
}

// notFound says what is not found, where the gateway only says that.
func (e *refusedError) notFound(call apiCall) {
	says := strings.TrimPrefix(strings.TrimPrefix(e.says, registry.ErrNotFound.Error()), ": ")
	kind, rest, _ := strings.Cut(call.path, "/")
	id, err := url.PathUnescape(strings.ReplaceAll(rest, "/", " "))
	switch of, known := listings[kind]; {
	case says != "":
	case err != nil || call.method != http.MethodGet:
		return
	case known:
		says = fmt.Sprintf("there is no %s %q; %s shows those that there are", of.noun, id, of.command)
	case kind == "imports":
		says = fmt.Sprintf("there is no import %q; its id is what caddy dcr import has printed", id)
	default:
		return
	}
	e.says = says
}

// description is what the admin API says of itself (OpenAPI).
type description struct {
	Paths map[string]map[string]json.RawMessage `json:"paths"`
}

const descriptionPath = "openapi.json"

// missing is the error where something is not found: what the call is about, or the call,
// which a gateway of another version does not have.
func (a *adminAPI) missing(ctx context.Context, call apiCall, refused *refusedError) error {
	if call.path != descriptionPath {
		d, _, err := get[description](ctx, a, descriptionPath, nil)
		switch {
		case err == nil && d.has(call):
			return refused
		case err == nil:
			return unreachable("the gateway at %s has no call %s %s: it is of another version than this command; %s", a.address, call.method, apiPrefix+call.path, sameVersion)
		case !refusedWith(err, http.StatusNotFound):
			return err
		}
	}
	return &statusError{statusUnreachable, fmt.Errorf("%w: at %s there is no site with openbanking_dcr, or it is of an older version than this command; %s; %s", refused, a.address, giveAddress, sameVersion)}
}

// has tells whether a call is described.
func (d description) has(call apiCall) bool {
	parts := strings.Split(call.path, "/")
	for path, methods := range d.Paths {
		if _, ok := methods[strings.ToLower(call.method)]; ok && described(strings.Split(strings.TrimPrefix(path, "/"), "/"), parts) {
			return true
		}
	}
	return false
}

func described(path, parts []string) bool {
	if len(path) != len(parts) {
		return false
	}
	for n := range path {
		if !strings.HasPrefix(path[n], "{") && path[n] != strings.ReplaceAll(parts[n], "%2E", ".") {
			return false
		}
	}
	return true
}
