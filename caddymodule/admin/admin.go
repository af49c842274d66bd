// Package admin is what operators ask a running gateway, over Caddy's admin API:
// what the authorization servers have yet to be told, what they may have otherwise
// than the registry, and who is suspended.
//
//	GET    /openbanking_dcr/backlog
//	GET    /openbanking_dcr/outbox?limit=
//	GET    /openbanking_dcr/discrepancies?workspace=&cursor=&limit=
//	DELETE /openbanking_dcr/discrepancies?workspace=&kind=&registration=
//	GET    /openbanking_dcr/suspensions?workspace=&cursor=&limit=
//	PUT    /openbanking_dcr/suspensions    {"workspace","kind","value","reason"}
//	DELETE /openbanking_dcr/suspensions?workspace=&kind=&value=
//	GET    /openbanking_dcr/epoch
//	POST   /openbanking_dcr/epoch          {"reason"}
//	POST   /openbanking_dcr/secrets?workspace=&client_id=
//	POST   /openbanking_dcr/secrets?workspace=&cursor=&limit=
//	GET    /openbanking_dcr/registrations?workspace=&cursor=&limit=
//	POST   /openbanking_dcr/clients?workspace=&client_id=
//	POST   /openbanking_dcr/clients?workspace=&cursor=&limit=
//	DELETE /openbanking_dcr/clients?workspace=&client_id=&reason=&without_check=
//	GET    /openbanking_dcr/audit?workspace=&since=&cursor=&limit=
//	GET    /openbanking_dcr/explanations?code=
//	GET    /openbanking_dcr/explanations?workspace=&cursor=&limit=
//
// Whoever reaches the admin API may change the whole configuration, so that it is
// not for others than operators.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

func init() {
	caddy.RegisterModule(API{})
}

// API is the module. It has no state: Caddy makes it before the app, and never
// tells it of a reload.
type API struct{}

// CaddyModule returns the module's name.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.openbanking_dcr", New: func() caddy.Module { return new(API) }}
}

const prefix = "/openbanking_dcr/"

// Routes are the paths of this API.
func (API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: prefix, Handler: caddy.AdminHandlerFunc(serve)}}
}

// call is one request, with the registry open.
type call struct {
	r        *http.Request
	app      *caddymodule.App
	registry *registry.Registry
	// parameters are those of the query, each there once.
	parameters map[string]string
}

// calls are all that there is, by method and path.
var calls = map[string]func(*call) (any, error){
	"GET backlog":          (*call).backlog,
	"GET outbox":           (*call).outbox,
	"GET discrepancies":    (*call).discrepancies,
	"DELETE discrepancies": (*call).dismiss,
	"GET suspensions":      (*call).suspensions,
	"PUT suspensions":      (*call).suspend,
	"DELETE suspensions":   (*call).resume,
	"GET epoch":            (*call).epoch,
	"POST epoch":           (*call).confirmEpoch,
	"POST secrets":         (*call).rotateSecrets,
	"GET registrations":    (*call).registrations,
	"POST clients":         (*call).askForClients,
	"DELETE clients":       (*call).removeClient,
	"GET audit":            (*call).audit,
	"GET explanations":     (*call).explanations,
}

// takeBody are those with a body.
var takeBody = []string{"PUT suspensions", "POST epoch"}

func serve(w http.ResponseWriter, r *http.Request) error {
	what := r.URL.Path[len(prefix):]
	name := r.Method + " " + what
	run, ok := calls[name]
	if !ok {
		return notServed(r.Method, what)
	}
	c := &call{r: r}
	if err := c.parse(slices.Contains(takeBody, name)); err != nil {
		return err
	}
	running, err := caddy.ActiveContext().AppIfConfigured("openbanking_dcr")
	if err != nil {
		return failed(http.StatusNotFound, errors.New("no site has the directive openbanking_dcr"))
	}
	c.app = running.(*caddymodule.App)
	if c.registry, err = c.app.Enter(); err != nil {
		return failed(http.StatusServiceUnavailable, err)
	}
	defer c.app.Leave()
	answer, err := run(c)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return failed(http.StatusNotFound, err)
	case errors.Is(err, registry.ErrNative), errors.Is(err, registry.ErrNoNewSecret), errors.Is(err, registry.ErrStillThere), errors.Is(err, registry.ErrCannotCheck), errors.Is(err, registry.ErrNoEpoch):
		return failed(http.StatusConflict, err)
	case errors.Is(err, registry.ErrCursor):
		return failed(http.StatusBadRequest, err)
	case errors.As(err, new(caddy.APIError)):
		return err
	case err != nil:
		return failed(http.StatusServiceUnavailable, err)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

func notServed(method, what string) error {
	for _, m := range []string{"GET", "PUT", "DELETE", "POST"} {
		if calls[m+" "+what] != nil {
			return failed(http.StatusMethodNotAllowed, fmt.Errorf("%s is not a method of %s%s", method, prefix, what))
		}
	}
	return failed(http.StatusNotFound, errors.New("there are backlog, outbox, discrepancies, suspensions, epoch, secrets, registrations, clients, audit and explanations"))
}

func failed(status int, err error) error {
	return caddy.APIError{HTTPStatus: status, Err: err}
}

func badRequest(format string, args ...any) error {
	return failed(http.StatusBadRequest, fmt.Errorf(format, args...))
}

// page is a part of a list, and where the next one begins.
type page struct {
	Entries any    `json:"entries"`
	Next    string `json:"next,omitempty"`
}

// Interface guard.
var _ caddy.AdminRouter = API{}
