package gateway

import (
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Which clients were used. Whoever is refused must not keep a client from being unused, so
// that a use is marked once the client has authenticated, here or at the AS.

// markUsed marks a client that has authenticated. The caller has asked for the certificate.
func (q *request) markUsed(clientID string) {
	cert, _ := q.certificate()
	q.store.MarkUsed(q.options().Workspace.Name, clientID, cert, int64(q.day))
}

// marking is next for a request of a client of the registry. The AS alone verifies the
// assertion of a client in native mode: anybody can send one in its name.
func (q *request) marking(next http.Handler, c *registry.Client) http.Handler {
	if c.Bridge != "" || c.Metadata.TokenEndpointAuthMethod == "tls_client_auth" {
		q.markUsed(c.ClientID)
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusAnswer{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if answer.status/100 == 2 {
			q.markUsed(c.ClientID)
		}
	})
}

// statusAnswer passes an answer on, and knows its status.
type statusAnswer struct {
	http.ResponseWriter
	status int // 0: none yet
}

// WriteHeader leaves informational answers out, which come before the status.
func (a *statusAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *statusAnswer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *statusAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
