package caddymodule

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// rulesWord reads a word of the rules and switches:
//
//	version                     3.1|3.2|3.3|3.4
//	lenient                     [<claim...>]
//	max_lifetime                <duration>
//	issuer_claim                <claim>
//	algorithms                  <alg...>
//	token_endpoint_auth_methods <method...>
//	bind_certificate            <form...>
//	dn_match                    exact | attributes <type...>
//	role                        <software_role> <scope...>
//	statement_rollback          allow
//	clients_per_software        <n>|off
//	bytes_per_organisation      <size>|off
//	rate_limit                  off | <requests> <duration>
//	fair_share                  off
//	reregister                  allow|return|update|reject [<duration>]
//	approval                    manual [registrations|changes]
//	registration_access_token   { ttl <duration>; rotate }
//	answer_request_claims
//	registration                off
//	management                  off | <method...> { method_not_allowed }
//	as_registration             passthrough
//	endpoint_certificate        required|optional
//	unknown_clients             pass|refuse [known <file>]
//	other_bodies                pass|refuse
//	assertion_audience          issuer|endpoints
//	crl                         <file|url...> { ... } # see revocationWord
//	crl_mode                    soft|strict
//	on_lost_trust               report|suspend        # see reviewWord
//	retire                      unused <duration> report|suspend
//	keep_headers                <name...>
//	pass_headers                <name...>
//	unprotected
func (h *Handler) rulesWord(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "version":
		return oneArg(d, (*string)(&h.Version))
	case "lenient":
		if h.Lenient = d.RemainingArgs(); len(h.Lenient) == 0 {
			h.Lenient = verify.LenientClaims
		}
		return nil
	case "max_lifetime":
		return duration(d, &h.MaxLifetime)
	case "issuer_claim":
		return oneArg(d, &h.IssuerClaim)
	case "algorithms":
		return someArgs(d, &h.Algorithms)
	case "token_endpoint_auth_methods":
		return someArgs(d, &h.AuthMethods)
	case "bind_certificate":
		return someArgs(d, &h.BindCertificate)
	case "dn_match":
		return h.dnMatch(d)
	case "role":
		return h.role(d)
	case "statement_rollback":
		return oneOf(d, &h.StatementRollback, "allow")
	case "clients_per_software":
		return h.clientsPerSoftware(d)
	case "bytes_per_organisation":
		return h.bytesPerOrganisation(d)
	case "rate_limit":
		h.RateLimit = new(RateLimit)
		return h.RateLimit.unmarshal(d)
	case "fair_share":
		return oneOf(d, &h.FairShare, "off")
	case "reregister":
		h.Reregister = new(Reregister)
		return h.Reregister.unmarshal(d)
	case "approval":
		h.Approval = new(Approval)
		return h.Approval.unmarshal(d)
	case "registration_access_token":
		h.RegistrationAccessToken = new(RegistrationAccessToken)
		return h.RegistrationAccessToken.unmarshal(d)
	case "answer_request_claims":
		h.AnswerRequestClaims = true
		return noArgs(d)
	}
	return h.siteWord(d)
}

// siteWord reads the words of what the site does beside registering.
func (h *Handler) siteWord(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "registration":
		return oneOf(d, &h.Registration, "off")
	case "management":
		h.Management = new(Management)
		return h.Management.unmarshal(d)
	case "unguarded":
		return h.unguarded(d)
	case "as_registration":
		return oneOf(d, &h.ASRegistration, "passthrough")
	case "endpoint_certificate":
		return oneOf(d, &h.EndpointCertificate, "required", "optional")
	case "unknown_clients":
		h.UnknownClients = new(UnknownClients)
		return h.UnknownClients.unmarshal(d)
	case "other_bodies":
		return oneOf(d, &h.OtherBodies, "pass", "refuse")
	case "assertion_audience":
		return oneOf(d, &h.AssertionAudience, "issuer", "endpoints")
	case "keep_headers":
		return someArgs(d, &h.KeepHeaders)
	case "pass_headers":
		return someArgs(d, &h.PassHeaders)
	case "unprotected":
		h.Unprotected = true
		return noArgs(d)
	}
	return h.revocationWord(d)
}

func (h *Handler) role(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.ArgErr()
	}
	if h.Roles == nil {
		h.Roles = map[string][]string{}
	}
	if h.Roles[args[0]] != nil {
		return d.Errf("role %s is written twice", args[0])
	}
	h.Roles[args[0]] = args[1:]
	return nil
}

func (h *Handler) dnMatch(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "exact":
		return nil
	case len(args) > 1 && args[0] == "attributes":
		h.DNMatch = args[1:]
		return nil
	}
	return d.Errf("dn_match: must be exact, or attributes <type...>, not %q", args)
}

func (l *RateLimit) unmarshal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 1 && args[0] == "off" {
		l.Off = true
		return nil
	}
	if len(args) != 2 {
		return d.ArgErr()
	}
	requests, err := strconv.Atoi(args[0])
	window, windowErr := caddy.ParseDuration(args[1])
	if err != nil || windowErr != nil || requests < 1 || window <= 0 {
		return d.Errf("rate_limit: must be a number of requests and a duration, or off, not %q", args)
	}
	l.Requests, l.Window = requests, caddy.Duration(window)
	return nil
}

func (m *Management) unmarshal(d *caddyfile.Dispenser) error {
	if err := someArgs(d, &m.Methods); err != nil {
		return err
	}
	if len(m.Methods) == 1 && m.Methods[0] == "off" {
		m.Methods = nil
	}
	for i, method := range m.Methods {
		m.Methods[i] = strings.ToUpper(method)
	}
	return block(d, func() error {
		switch d.Val() {
		case "method_not_allowed":
			m.MethodNotAllowed = true
			return noArgs(d)
		}
		return unknown(d)
	})
}

// unmarshal reads
//
//	reregister allow|return|update|reject [<duration>]
func (r *Reregister) unmarshal(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	r.Mode = d.Val()
	if !slices.Contains(registry.ReregisterModes, r.Mode) {
		return d.Errf("reregister %q: must be one of %q", r.Mode, registry.ReregisterModes)
	}
	if d.CountRemainingArgs() > 0 {
		return duration(d, &r.Window)
	}
	return nil
}

// unmarshal reads
//
//	registration_access_token {
//	    ttl <duration>
//	    rotate
//	}
func (t *RegistrationAccessToken) unmarshal(d *caddyfile.Dispenser) error {
	if err := noArgs(d); err != nil {
		return err
	}
	return block(d, func() error {
		switch d.Val() {
		case "ttl":
			return duration(d, &t.TTL)
		case "rotate":
			t.Rotate = true
			return noArgs(d)
		}
		return unknown(d)
	})
}

// someArgs reads one argument or more.
func someArgs(d *caddyfile.Dispenser, to *[]string) error {
	if *to = d.RemainingArgs(); len(*to) == 0 {
		return d.ArgErr()
	}
	return nil
}

// duration reads one duration, with d for days.
func duration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	name, text := d.Val(), ""
	if err := oneArg(d, &text); err != nil {
		return err
	}
	v, err := caddy.ParseDuration(text)
	if err != nil || v <= 0 {
		return d.Errf("%s %q: must be a duration like 90s, 24h or 30d", name, text)
	}
	*to = caddy.Duration(v)
	return nil
}

// unguarded reads
//
//	unguarded upstream <address...>
//	unguarded handler <module...>
func (h *Handler) unguarded(d *caddyfile.Dispenser) error {
	if h.Unguarded == nil {
		h.Unguarded = new(Unguarded)
	}
	var kind string
	if !d.Args(&kind) {
		return d.ArgErr()
	}
	list := map[string]*[]string{"upstream": &h.Unguarded.Upstreams, "handler": &h.Unguarded.Handlers}[kind]
	if list == nil {
		return d.Errf("unguarded %q: must be upstream or handler", kind)
	}
	names := d.RemainingArgs()
	if len(names) == 0 {
		return d.ArgErr()
	}
	*list = append(*list, names...)
	return at(d, h.Unguarded.check())
}
