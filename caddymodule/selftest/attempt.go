package selftest

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

// attempt is a registration request that is to be sent: good, until something changes it.
type attempt struct {
	p        *play
	software *software
	call
	token string
	// claims are those of the request, statement those of its software statement; nil takes
	// one away.
	claims, statement map[string]any
	// key signs the request, with header; statementKey the statement, with statementHeader.
	key, statementKey       *signingKey
	header, statementHeader map[string]any
	// document is the statement itself, and payload the claims as they are signed, in place
	// of what is made of the above. finish changes the body.
	document string
	payload  string
	unsigned bool
	finish   func(body string) (string, error)
}

// attempt is a good request of a software, with a token.
func (p *play) attempt(s *software, method, token string) *attempt {
	a := &attempt{
		p: p, software: s, token: token, claims: p.claims(s, method), statement: s.statementClaims(p.roles()),
		key: p.signer(s), statementKey: s.directory.signing, header: map[string]any{}, statementHeader: map[string]any{},
		call: call{method: http.MethodPost, path: p.registerPath(), certificate: s.transport, header: http.Header{}},
	}
	a.call.header.Set("Accept", "application/json")
	if p.needsSignature() {
		a.call.header.Set("Content-Type", "application/jose")
	} else {
		a.call.header.Set("Content-Type", "application/json")
	}
	return a
}

// build is the body.
func (a *attempt) build() (body string, err error) {
	claims := withoutNull(a.claims)
	if _, given := claims["software_statement"]; !given && a.p.needsStatement() {
		if a.document == "" {
			if a.document, err = a.statementKey.sign(withoutNull(a.statement), a.statementHeader); err != nil {
				return "", err
			}
		}
		claims["software_statement"] = a.document
	}
	payload := []byte(a.payload)
	if len(payload) == 0 {
		if payload, err = json.Marshal(claims); err != nil {
			return "", err
		}
	}
	switch {
	case !a.p.needsSignature():
		body = string(payload)
	case a.unsigned:
		body, err = unsigned(json.RawMessage(payload))
	default:
		body, err = a.key.signPayload(payload, a.header)
	}
	if err == nil && a.finish != nil {
		body, err = a.finish(body)
	}
	return body, err
}

func withoutNull(claims map[string]any) map[string]any {
	out := maps.Clone(claims)
	maps.DeleteFunc(out, func(_ string, value any) bool { return value == nil })
	return out
}

// send sends it.
func (a *attempt) send(ctx context.Context) (*reply, error) {
	if a.body == nil {
		body, err := a.build()
		if err != nil {
			return nil, err
		}
		a.body = []byte(body)
	}
	if a.token != "" && a.call.header.Get("Authorization") == "" {
		a.call.header.Set("Authorization", "Bearer "+a.token)
	}
	return a.p.call(ctx, a.call)
}

// past and future are times as claims have them.
func past(d time.Duration) int64   { return time.Now().Add(-d).Unix() }
func future(d time.Duration) int64 { return time.Now().Add(d).Unix() }
