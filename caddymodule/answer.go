package caddymodule

import (
	"cmp"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// interactionID finds a request in the log again (FAPI 1 Baseline 6.2.1).
const interactionID = "x-fapi-interaction-id"

// exchange is one request that the gateway answers itself, and what its log line will say.
type exchange struct {
	*gateway
	w         http.ResponseWriter
	r         *http.Request
	operation string
	support   string
	fields    []slog.Attr
	// trace is what was checked so far, nil where nobody will ask.
	trace *verify.Trace
	// guarded: at an endpoint of the AS where clients authenticate, not at one of DCR.
	guarded bool
	// page: a person reads a refusal, in a browser.
	page bool
}

func (g *gateway) exchange(w http.ResponseWriter, r *http.Request, operation string) *exchange {
	return &exchange{gateway: g, w: w, r: r, operation: operation, support: supportCode(r), fields: g.fields(r)}
}

// guardExchange is one at an endpoint of the AS where clients authenticate.
func (g *gateway) guardExchange(w http.ResponseWriter, r *http.Request, operation string) *exchange {
	x := g.exchange(w, r, operation)
	x.guarded = true
	return x
}

// supportCode is the request's interaction id, letter for letter: its sender will
// look for nothing else. What is not exactly one UUID is replaced.
func supportCode(r *http.Request) string {
	if sent := sentSupportCode(r); sent != "" {
		return sent
	}
	return uuid.NewString()
}

// sentSupportCode is empty for none.
func sentSupportCode(r *http.Request) string {
	sent := r.Header.Values(interactionID)
	if len(sent) == 1 && len(sent[0]) == 36 && uuid.Validate(sent[0]) == nil {
		return sent[0]
	}
	return ""
}

// note adds to the log line.
func (x *exchange) note(key, value string) { x.fields = append(x.fields, slog.String(key, value)) }

// answer writes a JSON body; the headers are those of every DCR answer.
func (x *exchange) answer(status int, body []byte) {
	x.write(status, "application/json", body)
}

// write writes a body, if there is one, and the log line.
func (x *exchange) write(status int, contentType string, body []byte) {
	header := x.w.Header()
	header["Cache-Control"] = []string{"no-store"}
	header["Pragma"] = []string{"no-cache"}
	header.Set(interactionID, x.support)
	if status != http.StatusNoContent {
		header["Content-Type"] = []string{contentType}
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	x.w.WriteHeader(status)
	if len(body) > 0 { // of a status that has none HTTP/2 takes not even nothing
		if _, err := x.w.Write(body); err != nil {
			x.note("write_error", err.Error())
		}
	}
	outcome := "accepted"
	if status >= 400 {
		outcome = "refused"
	}
	x.note("outcome", outcome)
	x.note("support_code", x.support)
	x.log.LogAttrs(x.r.Context(), slog.LevelInfo, x.operation, append([]slog.Attr{slog.Int("status", status)}, x.fields...)...)
	x.options.Host.AddToAccessLog(x.r, x.fields)
}

// refuse answers with the error table's row. The TPP is told the description,
// the log the cause too.
func (x *exchange) refuse(err error) {
	e := verify.AsError(err)
	if c := guardCallerOf(x.r); c != nil {
		c.refused = true
		defer x.keepGuarded(err)
	}
	realm := x.options.Workspace.Name // the configured URL is internal
	if t := x.tableOf(x.r.Context()); t != nil {
		realm = t.metadata.Issuer
	}
	challenge := e.Challenge(realm)
	if x.guarded {
		guardRefusals.WithLabelValues(x.options.Workspace.Name, e.RuleName()).Inc()
		challenge = e.ClientChallenge(realm, x.r.Header.Get("Authorization"))
	}
	if challenge != "" {
		x.w.Header().Set("WWW-Authenticate", challenge)
	}
	if e.Kind == verify.Unavailable || e.Kind == verify.TooManyRequests {
		wait := cmp.Or(e.RetryAfter, verify.DefaultRetryAfter)
		x.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	if e.Kind == verify.Unavailable {
		x.log.Warn("unavailable", slog.String("support_code", x.support), slog.Any("error", err))
	}
	x.note("error", e.Code())
	x.note("rule", e.RuleName())
	x.note("description", e.Description)
	if e.Cause != nil {
		x.note("cause", e.Cause.Error())
		if cure := proxyCure(e.Cause); cure != "" {
			x.note("cure", cure)
		}
	}
	if x.page {
		x.writePage(e)
		return
	}
	body := append([]byte(`{"error":`), strconv.Quote(e.Code())...)
	body = append(body, `,"error_description":`...)
	body = verify.AppendString(body, e.Description)
	x.answer(e.Status(), append(body, '}'))
}

// registrationJSON is the answer to POST, GET and PUT: our record, then the
// claims of the software statement. Nothing of it is the AS's echo. access is nil
// where registration access tokens are off.
func registrationJSON(version verify.Version, c *registry.Client, access *registrationAccess, raw []byte, ssa verify.Object) []byte {
	m := version.Shown(c.Metadata, c.DN)
	b := make([]byte, 0, len(raw)+len(raw)*3/4+2048) // the claims are base64 in raw
	b = append(b, '{')
	text := func(name, value string) {
		if value == "" {
			return
		}
		b = append(verify.AppendString(b, name), ':')
		b = append(verify.AppendString(b, value), ',')
	}
	list := func(name string, values []string) {
		b = append(verify.AppendString(b, name), ':')
		b = append(verify.AppendStrings(b, values), ',')
	}
	text("client_id", c.ClientID)
	b = append(b, `"client_id_issued_at":`...)
	b = append(strconv.AppendInt(b, c.IssuedAt, 10), ',')
	b = appendSecret(b, c.NewSecret)
	if access != nil {
		text("registration_access_token", access.token)
		text("registration_client_uri", access.uri)
	}
	list("redirect_uris", m.RedirectURIs)
	text("token_endpoint_auth_method", m.TokenEndpointAuthMethod)
	text("token_endpoint_auth_signing_alg", m.TokenEndpointSigningAlg)
	list("grant_types", m.GrantTypes)
	list("response_types", m.ResponseTypes)
	text("application_type", m.ApplicationType)
	text("id_token_signed_response_alg", m.IDTokenSigningAlg)
	text("request_object_signing_alg", m.RequestObjectSigningAlg)
	text("scope", m.Scope)
	list("scopes", strings.Fields(m.Scope))
	text("backchannel_token_delivery_mode", m.BackchannelMode)
	text("backchannel_client_notification_endpoint", m.BackchannelEndpoint)
	text("backchannel_authentication_request_signing_alg", m.BackchannelAlg)
	if m.BackchannelUserCode != nil {
		b = strconv.AppendBool(append(b, `"backchannel_user_code_parameter_supported":`...), *m.BackchannelUserCode)
		b = append(b, ',')
	}
	text("tls_client_auth_subject_dn", m.TLSClientAuthSubjectDN)
	text("tls_client_auth_dn", m.TLSClientAuthSubjectDN)
	if claim, value := m.SAN(); claim != "" {
		text(claim, value)
	}
	text("software_id", c.SoftwareID)
	for _, member := range ssa.Members() {
		if verify.ShownStatementClaim(member.Name) {
			b = append(verify.AppendString(b, member.Name), ':')
			b = append(append(b, member.Value...), ',')
		}
	}
	if raw == nil {
		b[len(b)-1] = '}'
		return b
	}
	b = append(b, `"software_statement":`...)
	return append(verify.AppendString(b, raw), '}')
}

// appendSecret appends the members of a secret that is new, and has no end (RFC 7591
// 3.2.1); none for an empty one.
func appendSecret(b []byte, secret string) []byte {
	if secret == "" {
		return b
	}
	b = verify.AppendString(append(b, `"client_secret":`...), secret)
	return append(b, `,"client_secret_expires_at":0,`...)
}
