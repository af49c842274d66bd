// Package admin is what operators ask a running gateway, and change in it, over Caddy's admin
// API. docs/admin-api.json describes every call: this package serves that file, and its tests
// compare the two.
//
// Whoever reaches the admin API may change the whole configuration, so that it is
// not for others than operators.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

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
	// parameters are those of the query, each there once; path those of the path, by name.
	parameters, path map[string]string
	// tag is the entity tag of the answer; empty for none.
	tag string
}

// route is one call that there is.
type route struct {
	method string
	// path is below prefix. A part in braces is a parameter.
	path string
	run  func(*call) (any, error)
	// body: it takes one.
	body bool
}

// routes are all that there are.
var routes = []route{
	{"GET", "openapi.json", (*call).openAPI, false},
	{"GET", "status", (*call).status, false},
	{"GET", "clients", (*call).clients, false},
	{"GET", "clients/{client_id}", (*call).client, false},
	{"POST", "clients/{client_id}/suspend", (*call).suspendClient, true},
	{"POST", "clients/{client_id}/resume", (*call).resumeClient, true},
	{"POST", "clients/{client_id}/delete", (*call).deleteClient, true},
	{"POST", "clients/{client_id}/rotate_secret", (*call).rotateClientSecret, true},
	{"GET", "software/{id}", of(registry.SuspendSoftware, (*call).holder), false},
	{"POST", "software/{id}/suspend", of(registry.SuspendSoftware, (*call).suspendHolder), true},
	{"POST", "software/{id}/resume", of(registry.SuspendSoftware, (*call).resumeHolder), true},
	{"GET", "organisations/{id}", of(registry.SuspendOrganisation, (*call).holder), false},
	{"POST", "organisations/{id}/suspend", of(registry.SuspendOrganisation, (*call).suspendHolder), true},
	{"POST", "organisations/{id}/resume", of(registry.SuspendOrganisation, (*call).resumeHolder), true},
	{"GET", "directories/{id}", of(registry.SuspendDirectory, (*call).holder), false},
	{"POST", "directories/{id}/suspend", of(registry.SuspendDirectory, (*call).suspendHolder), true},
	{"POST", "directories/{id}/resume", of(registry.SuspendDirectory, (*call).resumeHolder), true},
	{"GET", "backlog", (*call).backlog, false},
	{"GET", "outbox", (*call).outbox, false},
	{"GET", "discrepancies", (*call).discrepancies, false},
	{"DELETE", "discrepancies", (*call).dismiss, false},
	{"GET", "suspensions", (*call).suspensions, false},
	{"GET", "epoch", (*call).epoch, false},
	{"POST", "epoch", (*call).confirmEpoch, true},
	{"POST", "secrets", (*call).rotateSecrets, false},
	{"GET", "registrations", (*call).registrations, false},
	{"POST", "clients", (*call).askForClients, false},
	{"DELETE", "clients", (*call).removeClient, false},
	{"GET", "audit", (*call).audit, false},
	{"GET", "explanations", (*call).explanations, false},
}

func serve(w http.ResponseWriter, r *http.Request) error {
	c := &call{r: r}
	way, err := c.find()
	if err != nil {
		return err
	}
	if err := c.parse(way.body); err != nil {
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
	answer, err := way.run(c)
	if err != nil {
		return withStatus(err)
	}
	if c.tag != "" {
		w.Header().Set("Etag", c.tag)
	}
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// withStatus is an error of the registry as the API answers it.
func withStatus(err error) error {
	for _, known := range []struct {
		status int
		errors []error
	}{
		{http.StatusNotFound, []error{registry.ErrNotFound}},
		{http.StatusConflict, []error{registry.ErrNative, registry.ErrNoNewSecret, registry.ErrStillThere, registry.ErrCannotCheck, registry.ErrNoEpoch}},
		{http.StatusBadRequest, []error{registry.ErrCursor, registry.ErrFilter}},
		{http.StatusPreconditionFailed, []error{registry.ErrChanged}},
	} {
		if slices.ContainsFunc(known.errors, func(one error) bool { return errors.Is(err, one) }) {
			return failed(known.status, err)
		}
	}
	if errors.As(err, new(caddy.APIError)) {
		return err
	}
	return failed(http.StatusServiceUnavailable, err)
}

// find is the route of a call. Its parameters are in path from then on.
func (c *call) find() (way *route, err error) {
	asked := strings.Split(c.r.URL.EscapedPath()[len(prefix):], "/")
	for i := range routes {
		path, ok := match(asked, routes[i].path)
		if !ok {
			continue
		}
		if routes[i].method == c.r.Method {
			c.path = path
			return &routes[i], nil
		}
		err = failed(http.StatusMethodNotAllowed, fmt.Errorf("%s is not a method of %s%s", c.r.Method, prefix, routes[i].path))
	}
	if err == nil {
		err = failed(http.StatusNotFound, fmt.Errorf("there are %s", strings.Join(lists(), ", ")))
	}
	return nil, err
}

// match tells whether a path is one of a route, and which parameters it has.
func match(asked []string, path string) (parameters map[string]string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != len(asked) {
		return nil, false
	}
	parameters = map[string]string{}
	for i, part := range parts {
		text, err := url.PathUnescape(asked[i])
		name, isName := strings.CutPrefix(part, "{")
		switch {
		case err != nil, !isName && text != part, isName && text == "":
			return nil, false
		case isName:
			parameters[strings.TrimSuffix(name, "}")] = text
		}
	}
	return parameters, true
}

// lists are the first parts of all paths.
func lists() (names []string) {
	for _, way := range routes {
		if name, _, _ := strings.Cut(way.path, "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
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
