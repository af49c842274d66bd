package page

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// server draws the pages.
type server struct {
	// api is the admin API as an operator uses it.
	api    func(operator) API
	log    *slog.Logger
	routes *http.ServeMux
	forms  *formKey
}

// newServer is the handler of all pages, below the path at which the site has them. Its
// requests have an operator.
func newServer(api func(operator) API, log *slog.Logger) http.Handler {
	s := &server{api: api, log: log, routes: http.NewServeMux(), forms: newFormKey()}
	pages := map[string]func(*request) error{
		"GET /{$}":                           (*request).home,
		"GET /clients":                       (*request).clients,
		"GET /clients/{client_id}":           (*request).client,
		"GET /clients/{client_id}/{action}":  (*request).askChange,
		"POST /clients/{client_id}/{action}": (*request).change,
	}
	for pattern, draw := range pages {
		s.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.draw(w, r, draw) })
	}
	s.routes.HandleFunc("GET /assets/{name}", serveAsset)
	s.routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.draw(w, r, func(*request) error { return errNoPage })
	})
	// What a page of another site could have a browser send.
	protected := http.NewCrossOriginProtection()
	protected.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.draw(w, r, func(*request) error { return errOtherSite })
	}))
	return protected.Handler(s.routes)
}

var (
	errNoPage    = &Refused{http.StatusNotFound, "there is no such page"}
	errOtherSite = &Refused{http.StatusForbidden, "another site has sent this; open the page here, and do it again"}
	errViewer    = &Refused{http.StatusForbidden, "you may look, and not change anything: your name is not among the operators of the page"}
)

// request is one request for a page.
type request struct {
	*http.Request
	w      http.ResponseWriter
	server *server
	api    API
	who    operator
	// root is the path of the pages at this site, without a slash at its end.
	root string
}

// headers of every page. Styles, scripts and images come from here alone, and no page of
// another site may show one of these in a frame.
var headers = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
	"Cache-Control":                "no-store",
}

func (s *server) draw(w http.ResponseWriter, r *http.Request, page func(*request) error) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	who := operatorOf(r)
	req := &request{Request: r, w: w, server: s, api: s.api(who), who: who, root: rootOf(r)}
	if err := page(req); err != nil {
		req.fail(err)
	}
}

// rootOf is the path that the site has taken off (handle_path, uri strip_prefix). It leads to
// no other host, whatever was asked for.
func rootOf(r *http.Request) string {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return ""
	}
	root, taken := strings.CutSuffix(original.URL.EscapedPath(), r.URL.EscapedPath())
	if !taken || !strings.HasPrefix(root, "/") || strings.HasPrefix(root, "//") {
		return ""
	}
	return strings.TrimSuffix(root, "/")
}

// fail says what went wrong.
func (r *request) fail(err error) {
	status := http.StatusBadGateway
	var refused *Refused
	if errors.As(err, &refused) {
		status = refused.Status
	} else {
		r.server.log.Error("cannot draw a page", slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	r.render(status, "message", view{Title: http.StatusText(status), Data: err.Error()})
}

func (r *request) home() error {
	http.Redirect(r.w, r.Request, r.root+"/clients", http.StatusSeeOther)
	return nil
}
