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
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
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
	// by is the operator, where the caller has authenticated one; nil otherwise.
	by *registry.Operator
	// parameters are those of the query, each there once; path those of the path, by name.
	parameters, path map[string]string
	// tag is the entity tag of the answer; empty for none.
	tag string
	// way is the route of the call.
	way *route
	// proposed: the change waits for another operator, and was not made.
	proposed bool
}

// route is one call that there is.
type route struct {
	method string
	// path is below prefix. A part in braces is a parameter.
	path string
	run  func(*call) (any, error)
	// body: it takes one.
	body bool
	// fourEyes is the action for which the configuration may demand two operators, one of
	// registry.FourEyesActions; empty for none.
	fourEyes string
	// send sends what is no JSON, in place of run.
	send func(*call, http.ResponseWriter) error
}

// routes are all that there are.
var routes = []route{
	{method: "GET", path: "openapi.json", run: (*call).openAPI},
	{method: "GET", path: "status", run: (*call).status},
	{method: "POST", path: "backup", send: (*call).backup, body: true},
	{method: "GET", path: "clients", run: (*call).clients},
	{method: "GET", path: "clients/{client_id}", run: (*call).client},
	{method: "POST", path: "clients/{client_id}/suspend", run: (*call).suspendClient, body: true},
	{method: "POST", path: "clients/{client_id}/resume", run: (*call).resumeClient, body: true, fourEyes: registry.FourEyesResume},
	{method: "POST", path: "clients/{client_id}/approve", run: (*call).approveClient, body: true, fourEyes: registry.FourEyesApprove},
	{method: "POST", path: "clients/{client_id}/refuse", run: (*call).refuseClient, body: true, fourEyes: registry.FourEyesDelete},
	{method: "POST", path: "clients/{client_id}/delete", run: (*call).deleteClient, body: true, fourEyes: registry.FourEyesDelete},
	{method: "POST", path: "clients/{client_id}/rotate_secret", run: (*call).rotateClientSecret, body: true},
	{method: "GET", path: "software/{id}", run: of(registry.SuspendSoftware, (*call).holder)},
	{method: "POST", path: "software/{id}/suspend", run: of(registry.SuspendSoftware, (*call).suspendHolder), body: true},
	{method: "POST", path: "software/{id}/resume", run: of(registry.SuspendSoftware, (*call).resumeHolder), body: true, fourEyes: registry.FourEyesResume},
	{method: "GET", path: "organisations/{id}", run: of(registry.SuspendOrganisation, (*call).holder)},
	{method: "POST", path: "organisations/{id}/suspend", run: of(registry.SuspendOrganisation, (*call).suspendHolder), body: true},
	{method: "POST", path: "organisations/{id}/resume", run: of(registry.SuspendOrganisation, (*call).resumeHolder), body: true, fourEyes: registry.FourEyesResume},
	{method: "GET", path: "directories/{id}", run: of(registry.SuspendDirectory, (*call).holder)},
	{method: "POST", path: "directories/{id}/suspend", run: of(registry.SuspendDirectory, (*call).suspendHolder), body: true},
	{method: "POST", path: "directories/{id}/resume", run: of(registry.SuspendDirectory, (*call).resumeHolder), body: true, fourEyes: registry.FourEyesResume},
	{method: "GET", path: "backlog", run: (*call).backlog},
	{method: "GET", path: "outbox", run: (*call).outbox},
	{method: "GET", path: "outbox/{id}", run: (*call).outboxEntry},
	{method: "POST", path: "outbox/{id}/retry", run: (*call).retryOutbox, body: true},
	{method: "POST", path: "outbox/{id}/give_up", run: (*call).giveUpOutbox, body: true},
	{method: "GET", path: "discrepancies", run: (*call).discrepancies},
	{method: "GET", path: "discrepancies/{kind}/{registration}", run: (*call).discrepancy},
	{method: "POST", path: "discrepancies/{kind}/{registration}/dismiss", run: (*call).dismiss, body: true},
	{method: "GET", path: "keys", run: (*call).keys},
	{method: "GET", path: "keys/{id}", run: (*call).keySet},
	{method: "POST", path: "keys/{id}/refresh", run: (*call).refreshKeys, body: true},
	{method: "GET", path: "suspensions", run: (*call).suspensions},
	{method: "GET", path: "trust", run: (*call).trust},
	{method: "POST", path: "trust/check", run: (*call).checkTrust, body: true},
	{method: "GET", path: "epoch", run: (*call).epoch},
	{method: "POST", path: "epoch/confirm", run: (*call).confirmEpoch, body: true},
	{method: "POST", path: "secrets/rotate", run: (*call).rotateSecrets, body: true},
	{method: "POST", path: "export", send: (*call).export, body: true},
	{method: "POST", path: "import", send: (*call).importClients, body: true},
	{method: "GET", path: "imports", run: (*call).imports},
	{method: "GET", path: "imports/{id}", run: (*call).importRecord},
	{method: "POST", path: "imports/{id}/undo", run: (*call).undoImport, body: true, fourEyes: registry.FourEyesDelete},
	{method: "GET", path: "registrations", run: (*call).registrations},
	{method: "GET", path: "reconcile", run: (*call).reconciliation},
	{method: "POST", path: "reconcile/start", run: (*call).startReconciling, body: true},
	{method: "POST", path: "reconcile/stop", run: (*call).stopReconciling, body: true},
	{method: "POST", path: "reconcile/orphans", run: (*call).orphans, body: true},
	{method: "GET", path: "audit", run: (*call).audit},
	{method: "GET", path: "explanations", run: (*call).explanations},
}

// serve answers a request that has come to Caddy's admin endpoint.
func serve(w http.ResponseWriter, r *http.Request) error {
	c := &call{r: r}
	if err := c.read(w); err != nil {
		return err
	}
	running, err := caddy.ActiveContext().AppIfConfigured("openbanking_dcr")
	if err != nil {
		return failed(http.StatusNotFound, errors.New("no site has the directive openbanking_dcr"))
	}
	c.app = running.(*caddymodule.App)
	if err := refuseCrossSite(r, c.app.AdminHosts); err != nil {
		return err
	}
	return c.answer(w)
}

// Serve answers a request within this process, with a path as at the admin endpoint. The
// caller has authenticated the operator, and has refused what a page of another site could
// send.
//
// Errors: caddy.APIError.
func Serve(w http.ResponseWriter, r *http.Request, app *caddymodule.App, by registry.Operator) error {
	c := &call{r: r, app: app, by: &by}
	if err := c.read(w); err != nil {
		return err
	}
	return c.answer(w)
}

// read finds out which call it is, and with which parameters.
func (c *call) read(w http.ResponseWriter) (err error) {
	way, allowed, err := c.find()
	if err != nil {
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", ")) // RFC 9110 15.5.6
		}
		return err
	}
	c.way = way
	return c.parse(way.body)
}

func (c *call) answer(w http.ResponseWriter) (err error) {
	if c.registry, err = c.app.Enter(); err != nil {
		return failed(http.StatusServiceUnavailable, err)
	}
	defer c.app.Leave()
	if c.way.send != nil {
		return c.way.send(c, w)
	}
	answer, err := c.way.run(c)
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
	if c.proposed {
		w.WriteHeader(http.StatusAccepted)
	}
	return writeJSON(w, answer)
}

// writeJSON writes an answer, which curl may show on a terminal.
func writeJSON(w io.Writer, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	_, err = w.Write(append(strictjson.Printable(text), '\n'))
	return err
}

// withStatus is an error of the registry as the API answers it.
func withStatus(err error) error {
	for _, known := range []struct {
		status int
		errors []error
	}{
		{http.StatusNotFound, []error{registry.ErrNotFound}},
		{http.StatusConflict, []error{registry.ErrNative, registry.ErrNoNewSecret, registry.ErrSuspended, registry.ErrNotAwaiting, registry.ErrUnsettled, registry.ErrReconciling, registry.ErrNotReconciling, registry.ErrNothingToResume, registry.ErrNoEpoch, registry.ErrAtWork, registry.ErrNotAttached, registry.ErrPassRunning, registry.ErrNoPass, registry.ErrSameOperator}},
		{http.StatusBadRequest, []error{registry.ErrCursor, registry.ErrFilter}},
		{http.StatusPreconditionFailed, []error{registry.ErrChanged}},
		{http.StatusForbidden, []error{registry.ErrNotAuthenticated}},
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

// find is the route of a call, or the methods that its path has. Its parameters are in path
// from then on.
func (c *call) find() (way *route, allowed []string, err error) {
	asked := strings.Split(c.r.URL.EscapedPath()[len(prefix):], "/")
	for i := range routes {
		path, ok := match(asked, routes[i].path)
		if !ok {
			continue
		}
		if routes[i].method == c.r.Method {
			c.path = path
			return &routes[i], nil, nil
		}
		allowed = append(allowed, routes[i].method)
		err = failed(http.StatusMethodNotAllowed, fmt.Errorf("%s is not a method of %s%s", c.r.Method, prefix, routes[i].path))
	}
	if err == nil {
		err = failed(http.StatusNotFound, fmt.Errorf("there are %s", strings.Join(lists(), ", ")))
	}
	return nil, allowed, err
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
