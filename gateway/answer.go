package gateway

import (
	"cmp"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// answer writes a JSON body; the headers are those of every DCR answer.
func (q *request) answer(status int, body []byte) {
	q.write(status, "application/json", body)
}

// write writes a body, if there is one, and the log line.
func (q *request) write(status int, contentType string, body []byte) {
	header := q.w.Header()
	header["Cache-Control"] = []string{"no-store"}
	header["Pragma"] = []string{"no-cache"}
	header.Set(interactionID, q.supportCode())
	if status != http.StatusNoContent {
		header["Content-Type"] = []string{contentType}
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	q.w.WriteHeader(status)
	if len(body) > 0 { // of a status that has none HTTP/2 takes not even nothing
		if _, err := q.w.Write(body); err != nil {
			q.note("write_error", err.Error())
		}
	}
	outcome := "accepted"
	if status >= 400 {
		outcome = "refused"
	}
	q.note("outcome", outcome)
	q.note("support_code", q.supportCode())
	q.gateway.log.LogAttrs(q.r.Context(), slog.LevelInfo, q.operation, append([]slog.Attr{slog.Int("status", status)}, q.fields...)...)
	q.options().Host.AddToAccessLog(q.r, q.fields)
}

// refuse answers with the error table's row. The TPP is told the description,
// the log the cause too.
func (q *request) refuse(operation string, err error) {
	q.operation, q.refused = operation, true
	e := refusal.From(err)
	if guardOperations[q.purpose] != "" {
		q.fields = append(q.callerFields(), q.fields...)
		defer q.keepGuarded(err)
	}
	realm := q.options().Workspace.Name // the configured URL is internal
	if q.table != nil {
		realm = q.table.metadata.Issuer
	}
	challenge := e.Challenge(realm, verify.ScopeRegister)
	if q.authenticates {
		guardRefusals.WithLabelValues(q.options().Workspace.Name, e.RuleName()).Inc()
		challenge = e.ClientChallenge(realm, q.r.Header.Get("Authorization"))
	}
	if challenge != "" {
		q.w.Header().Set("WWW-Authenticate", challenge)
	}
	if e.Kind == refusal.Unavailable || e.Kind == refusal.TooManyRequests {
		wait := cmp.Or(e.RetryAfter, refusal.DefaultRetryAfter)
		q.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	if e.Kind == refusal.Unavailable {
		q.gateway.log.Warn("answers a request with 503", slog.String("support_code", q.supportCode()), slog.Any("error", err))
	}
	q.note("error", e.Code())
	q.note("rule", e.RuleName())
	q.note("description", e.Description)
	if e.Cause != nil {
		q.note("cause", e.Cause.Error())
		if cure := q.cure(e.Cause); cure != "" {
			q.note("cure", cure)
		}
	}
	if q.page {
		q.writePage(e)
		return
	}
	body := append([]byte(`{"error":`), strconv.Quote(e.Code())...)
	body = append(body, `,"error_description":`...)
	body = strictjson.AppendString(body, e.Description)
	q.answer(e.Status(), append(body, '}'))
}

// cure is what the log says can be done about the cause of a refusal.
func (q *request) cure(cause error) string {
	if q.options().Cure == nil {
		return ""
	}
	return q.options().Cure(cause)
}

// refuseClient refuses where clients authenticate.
func (q *request) refuseClient(operation string, err error) {
	q.authenticates = true
	q.refuse(operation, err)
}

// registrationJSON is the answer to POST, GET and PUT: our record, then the
// claims of the software statement. Nothing of it is the AS's echo. access is nil
// where registration access tokens are off.
func registrationJSON(version verify.Version, c *registry.Client, access *registrationAccess, raw []byte, ssa strictjson.Object) []byte {
	m := version.Shown(c.Metadata, c.DN)
	b := make([]byte, 0, len(raw)+len(raw)*3/4+2048) // the claims are base64 in raw
	b = append(b, '{')
	text := func(name, value string) {
		if value == "" {
			return
		}
		b = append(strictjson.AppendString(b, name), ':')
		b = append(strictjson.AppendString(b, value), ',')
	}
	list := func(name string, values []string) {
		b = append(strictjson.AppendString(b, name), ':')
		b = append(strictjson.AppendStrings(b, values), ',')
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
			b = append(strictjson.AppendString(b, member.Name), ':')
			b = append(append(b, member.Value...), ',')
		}
	}
	if raw == nil {
		b[len(b)-1] = '}'
		return b
	}
	b = append(b, `"software_statement":`...)
	return append(strictjson.AppendString(b, raw), '}')
}

// appendSecret appends the members of a secret that is new, and has no end (RFC 7591
// 3.2.1); none for an empty one.
func appendSecret(b []byte, secret string) []byte {
	if secret == "" {
		return b
	}
	b = strictjson.AppendString(append(b, `"client_secret":`...), secret)
	return append(b, `,"client_secret_expires_at":0,`...)
}
