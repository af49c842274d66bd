package selftest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// hostile is a request that must be refused, or come to nothing.
type hostile struct {
	name, clause string
	// expected is a status with an error code, several with "or" between them, refused for
	// any 4xx, 501, 502 or a connection that is closed, or unseen where the answer does not matter. In
	// each case the AS sees nothing, unless passes.
	expected string
	passes   bool
	// needs says why the configuration does not have the row, empty where it has it.
	needs func(*play) string
	try   func(context.Context, *play) (*reply, error)
	// judge says what is wrong with what the AS has seen, empty for nothing. Default: nothing is.
	judge func(*play, []seen) string
}

const (
	refused = "refused"
	unseen  = "no request at the authorization server"
)

// tables are all hostile requests.
func tables() (all []hostile) {
	for _, table := range [][]hostile{
		certificateRows(), tokenRows(), bodyRows(), signatureRows(), claimRows(), signatureOfStatementRows(), statementRows(), demandRows(), managementRows(),
		endpointRows(), formRows(), mediaTypeRows(), assertionRows(), authenticationRows(), secretRows(), spellingRows(), targetRows(), headerRows(), limitRows(),
	} {
		all = append(all, table...)
	}
	return all
}

// tryAll tries all of them, and the ways round the gateway.
func (p *play) tryAll(ctx context.Context) (err error) {
	p.tell("the hostile requests to workspace " + p.Workspace)
	if err := p.prepare(); err != nil {
		return err
	}
	for _, h := range slices.Concat(tables(), p.wayRows()) {
		if h.needs != nil {
			if reason := h.needs(p); reason != "" {
				p.leaveOut(h.name, reason)
				continue
			}
		}
		if err := p.tryOne(ctx, &h); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes what no row may use up.
func (p *play) prepare() (err error) {
	if p.foreign, err = newAuthority("Another CA"); err != nil {
		return err
	}
	if p.stranger, err = newSigningKey(p.home.signing.algorithm); err != nil {
		return err
	}
	if p.needsToken() {
		p.token, err = p.workspace.token(nil)
	}
	return err
}

func (p *play) tryOne(ctx context.Context, h *hostile) error {
	p.stub.proxied() // what came before
	clients := p.as.registered()
	r, err := h.try(ctx, p)
	if err := interrupted(ctx, err); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	came := p.stub.proxied()
	wrong := h.wrong(p, came)
	if now := p.as.registered(); !slices.Equal(now, clients) {
		wrong = append(wrong, fmt.Sprintf("the clients at the authorization server have changed: %d before, %d now", len(clients), len(now)))
	}
	p.row("hostile", h.name, h.clause, h.expected, r, err, len(wrong) == 0 && meets(h.expected, r, err), wrong...)
	return nil
}

// wrong is what is wrong with what came to the AS.
func (h *hostile) wrong(p *play, came []seen) (list []string) {
	for _, one := range came {
		switch {
		case one.bypassed:
			list = append(list, fmt.Sprintf("%s %s came to the authorization server past the gateway, through %s", one.method, shortened(one.target), one.through))
		case !h.passes:
			list = append(list, fmt.Sprintf("%s %s came to the authorization server, through %s", one.method, shortened(one.target), one.through))
		}
	}
	if h.judge != nil {
		if text := h.judge(p, came); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// shortened is a target without its query, which may have credentials.
func shortened(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return fmt.Sprintf("%.100q", path)
}

// meets tells whether a reply is as expected.
func meets(expected string, r *reply, err error) bool {
	switch expected {
	case unseen:
		return err == nil || errors.Is(err, errAnswer)
	case refused:
		return errors.Is(err, errAnswer) || err == nil && (r.handshake != nil || r.status/100 == 4 || r.status == http.StatusNotImplemented || r.status == http.StatusBadGateway)
	}
	return err == nil && slices.Contains(strings.Split(expected, " or "), got(r, nil))
}

// leaveOutAll notes all rows as left out.
func (p *play) leaveOutAll(reason string) {
	for _, h := range tables() {
		p.leaveOut(h.name, reason)
	}
}

// Reasons to leave a row out, by the words of the configuration.
func certificatesOn(p *play) string {
	if !p.needsCertificate() {
		return "client_certificate off"
	}
	return ""
}

func tokensOn(p *play) string {
	if !p.needsToken() {
		return "access_token off"
	}
	return ""
}

func statementsOn(p *play) string {
	if !p.needsStatement() {
		return "software_statement off"
	}
	return ""
}

func signaturesOn(p *play) string {
	if !p.needsSignature() {
		return "signed_request_body off"
	}
	return ""
}

// ownKeys: requests are signed with the software's own keys.
func ownKeys(p *play) string {
	if p.bodyKey != nil {
		return "signed_request_body has one JWKS for all software"
	}
	return all(signaturesOn, statementsOn)(p)
}

func another(p *play) string {
	if p.other == nil {
		return "no second client is registered: --claims has one software_id, or its registration was refused"
	}
	return ""
}

func endpointCertificates(p *play) string {
	if p.acme.method != "tls_client_auth" && !p.needsEndpointCertificate() {
		return "endpoint_certificate optional"
	}
	return ""
}

func strict(claim string) func(*play) string {
	return func(p *play) string {
		if containsAny(p.Lenient, claim) {
			return "lenient " + claim
		}
		return ""
	}
}

func method(name string) func(*play) string {
	return func(p *play) string {
		if !p.manages(name) {
			return "management without " + name
		}
		return ""
	}
}

// all is the first reason of several.
func all(reasons ...func(*play) string) func(*play) string {
	return func(p *play) string {
		for _, one := range reasons {
			if one == nil {
				continue
			}
			if reason := one(p); reason != "" {
				return reason
			}
		}
		return ""
	}
}
