package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// What is recorded of a request for those who ask why it was refused. Nothing of it is
// a token, a statement or a key, and nothing decides.

// record has the checks of a request recorded from here on.
func (d *registrationRequest) record() {
	d.request.trace.Trace = new(trace.Trace)
	d.request.r = d.request.r.WithContext(trace.NewContext(d.request.r.Context(), d.request.trace.Trace))
}

// traces tells whether anybody will ask what was checked of a request.
func (g *Gateway) traces() bool {
	return g.options.Explain || slices.ContainsFunc(g.options.Policies, func(now func() *Policy) bool { return now().Shadow })
}

// keep keeps what was recorded of a request that a policy in shadow would have refused,
// and with explain on of one that was refused, or that an operator must approve.
func (d *registrationRequest) keep(err error) {
	switch {
	case d.request.trace.Trace == nil:
		return
	case err == nil && d.options.Explain && d.request.trace.Has(trace.NeedsApproval): // who decides may ask why
	case (err == nil || !d.options.Explain) && (d.request.operation == "read" || !d.request.trace.Has(trace.WouldRefuse)):
		return // whoever reads often would write over what was refused
	case err != nil && refusal.From(err).Kind == refusal.TooManyRequests:
		return
	}
	cert := d.cert
	if cert == nil { // it was refused before anybody looked
		cert, _ = d.request.certificate()
	}
	who := ""
	if cert != nil || !d.options.NeedsCertificate {
		who = d.request.holder(cert)
	}
	d.store.KeepExplanation(who, func() *registry.Explanation {
		e := registry.Explain(d.options.Workspace.Name, d.request.operation, d.now(), d.request.trace.Trace, err)
		e.SupportCode = d.request.supportCode()
		return e
	})
}

// Where the rules of steps come from that several ways have.
const (
	certificateClause = "DCR 3.2 Client Authentication, RFC 8705 2.1"
	tokenClause       = "RFC 6750 2.1, RFC 7662 2.2, RFC 9068 4, RFC 8705 3"
	registryClause    = "RFC 7591 3.2, RFC 7592 2, RFC 7519 4.1.7, DCR 3.2"
)

// shownCertificate is what a trace has of a certificate, also of one that does not count.
type shownCertificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Thumbprint is the one member that nobody can copy into another certificate.
	Thumbprint string `json:"x5t#S256"`
}

func (d *registrationRequest) beginCertificate() {
	if d.request.trace.Trace == nil {
		return
	}
	if !d.options.NeedsCertificate {
		d.request.trace.Off("client_certificate", "client_certificate", "client_certificate off")
		return
	}
	state := d.request.r.TLS
	d.request.trace.Begin("client_certificate", "client_certificate", certificateClause, func() any { return certificateOf(state) })
}

// certificateOf is what a trace has of the certificate of a connection, nil for none.
func certificateOf(state *tls.ConnectionState) any {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	return shownCertificate{
		dn.SubjectText(leaf.RawSubject), dn.SubjectText(leaf.RawIssuer), hex.EncodeToString(leaf.SerialNumber.Bytes()),
		leaf.NotBefore.UTC(), leaf.NotAfter.UTC(), base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}

// shownToken is what a trace has of an access token. Its jti is not shown: some
// authorization servers take that for the token. Nor is its sub: it may be a person's.
type shownToken struct {
	ClientID string     `json:"client_id,omitempty"`
	Scopes   []string   `json:"scopes"`
	Expires  *time.Time `json:"expires,omitempty"`
	Bound    string     `json:"x5t#S256,omitempty"`
}

func (d *registrationRequest) beginRateLimit() {
	if d.options.Limits == nil {
		d.request.trace.Off("client_certificate", "rate_limit", "rate_limit off")
		return
	}
	d.request.trace.Begin("client_certificate", "rate_limit", "the bank's configuration", nil)
}

// beginRegistry begins what the registry does, and the authorization server for it.
func (d *registrationRequest) beginRegistry() {
	d.request.trace.Begin("registry", "registry", registryClause, nil)
}

func (d *registrationRequest) beginToken() {
	d.request.trace.Begin("access_token", "access_token", tokenClause, nil)
}

func (d *registrationRequest) showToken() {
	if d.request.trace.Trace != nil {
		d.request.trace.Show(shownOf(d.token))
	}
}

// shownOf is nil for no token.
func shownOf(t *verify.AccessToken) *shownToken {
	if t == nil {
		return nil
	}
	shown := &shownToken{Scopes: t.Scopes, Bound: t.Thumbprint}
	if t.Claims.Has("client_id") || t.Claims.Has("azp") {
		shown.ClientID = t.ClientID
	}
	if !t.Expires.IsZero() {
		at := t.Expires.UTC()
		shown.Expires = &at
	}
	return shown
}

// beginPolicy shows of a policy's input what the policy may read.
func (d *registrationRequest) beginPolicy(p *Policy, in *verify.PolicyInput) {
	if d.request.trace.Trace == nil {
		return
	}
	registration := in.Registration
	if registration != nil { // later policies narrow it
		now := *registration
		registration = &now
	}
	d.request.trace.Begin("policy", p.Name, "policy "+p.Language, func() any {
		shown := map[string]any{}
		for name, value := range map[string]any{
			"operation": in.Operation, "workspace": in.Workspace, "remote": in.Remote, "now": in.Now,
			"request": brief(in.Request), "ssa": brief(in.SSA), "registration": registration,
			"certificate": in.Certificate, "token": shownOf(d.token), "client": in.Client, "software": in.Software,
		} {
			if verify.Reads(p.Policy, name) {
				shown[name] = value
			}
		}
		return shown
	})
}

// longestClaim is how much is shown of one, in bytes.
const longestClaim = 100

// brief are claims, long ones cut, without the statement: whoever has that can use it.
func brief(claims strictjson.Object) map[string]any {
	shown := map[string]any{}
	for _, m := range claims.Members() {
		if m.Name != "software_statement" {
			shown[m.Name] = cutJSON(m.Value)
		}
	}
	return shown
}

// cutJSON is a value, of a list at least the first item. A text or a list that is too long stays
// one: as a text with half of it, it would be quoted once more.
func cutJSON(value []byte) any {
	switch {
	case len(value) <= longestClaim:
		return json.RawMessage(value)
	case value[0] == '"':
		return shortened(strictjson.Text(value), longestClaim)
	case value[0] == '[':
		list, left := []any{}, longestClaim
		for item := range strictjson.EachItem(value) {
			if left -= len(item); left < 0 && len(list) > 0 {
				return append(list, "...")
			}
			list = append(list, cutJSON(item))
		}
		return list
	}
	return shortened(string(value), longestClaim)
}

// shortened is a text from outside for an input, which is JSON and quotes it: at most so many
// bytes, and a mark where it was cut.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

func (d *registrationRequest) concludePolicy(p *Policy, decision verify.Decision) {
	narrows := decision.Scopes != nil || decision.GrantTypes != nil
	switch asks := decision.Approval != ""; {
	case !decision.Allowed && p.Shadow:
		d.request.trace.Conclude(trace.WouldRefuse, decision.Reason)
	case !decision.Allowed, !asks && !narrows:
	case p.Shadow:
		d.request.trace.Conclude(trace.Passed, conditions("would demand an approval", "would leave ", decision))
	case asks:
		d.request.trace.Conclude(trace.NeedsApproval, conditions("demands an approval", "leaves ", decision))
	default:
		d.request.trace.Conclude(trace.Narrowed, conditions("", "leaves ", decision))
	}
}

// conditions are those on which a decision lets a registration in.
func conditions(demands, leaves string, d verify.Decision) string {
	var parts []string
	if d.Approval != "" {
		parts = append(parts, demands+": "+d.Approval)
	}
	if d.Scopes != nil || d.GrantTypes != nil {
		parts = append(parts, leaves+left(d))
	}
	return strings.Join(parts, "; ")
}

// left is what a decision leaves of a registration.
func left(d verify.Decision) string {
	var parts []string
	if d.Scopes != nil {
		parts = append(parts, "the scopes "+strings.Join(d.Scopes, " "))
	}
	if d.GrantTypes != nil {
		parts = append(parts, "the grants "+strings.Join(d.GrantTypes, " "))
	}
	return strings.Join(parts, ", ")
}
