package verify

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// traceOf checks a request and returns what was recorded.
func traceOf(t *testing.T, raw []byte, rules *RequestRules) ([]trace.Step, error) {
	t.Helper()
	checks := new(trace.Trace)
	ctx := trace.NewContext(context.Background(), checks)
	r, err := VerifyRequest(ctx, raw, rules, noon)
	if err == nil {
		_, err = CheckMetadata(ctx, MetadataInput{Request: r, Supported: DefaultSupportedMetadata()})
	}
	return checks.End(err), err
}

// Every check of a request is a step, in its order, with the clause that it is from.
func TestTrace(t *testing.T) {
	raw := registration(t, requestClaims, ssaClaims)
	steps, err := traceOf(t, raw, rules(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range steps {
		if s.Verdict != trace.Passed || s.Clause == "" || s.ErrorDescription != "" || s.Reason != "" {
			t.Errorf("%+v, want a passed step with a clause and no reason", s)
		}
		got = append(got, s.Step+" "+s.Rule)
	}
	want := []string{
		"request body", "software_statement software_statement", "software_statement iss", "software_statement signature", "software_statement claims",
		"software_statement software_jwks_endpoint", "request signature", "request iss", "request aud", "request iat, exp, nbf", "request jti",
	}
	for _, rule := range MetadataRules {
		want = append(want, "metadata "+rule.Claim)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if i := slices.Index(got, "metadata grant_types"); string(steps[i].Input) != `["authorization_code","client_credentials","refresh_token"]` {
		t.Errorf("%s, want the three grant types", steps[i].Input)
	}
	text, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	for _, segment := range append(strings.Split(string(raw), "."), strings.Split(statement(t, ssaClaims), ".")...) {
		if strings.Contains(string(text), segment) {
			t.Errorf("the trace has a part of a signed document: %.40s", segment)
		}
	}
}

// The step that refuses is the last, and says what the TPP is told.
func TestTraceOfRefusals(t *testing.T) {
	for _, tc := range []struct {
		name     string
		raw      func() []byte
		rules    func(*RequestRules)
		last     string
		verdict  string
		switched string // a step that is off
	}{
		{name: "no JWS", raw: func() []byte { return []byte("x") }, last: "request body"},
		{name: "no statement", raw: func() []byte { return registration(t, with(requestClaims, "software_statement", 1), nil) }, last: "software_statement software_statement"},
		{name: "another directory", raw: func() []byte { return registration(t, requestClaims, with(ssaClaims, "iss", "nobody")) }, last: "software_statement iss"},
		{name: "statement signed by another", raw: func() []byte {
			return registration(t, with(requestClaims, "software_statement", signJWS(t, ssaHeader, jsonOf(ssaClaims), "PS256", softwareKey())), nil)
		}, last: "software_statement signature"},
		{name: "statement without org_id", raw: func() []byte { return registration(t, requestClaims, with(ssaClaims, "org_id", absent{})) }, last: "software_statement claims"},
		{name: "demand", raw: func() []byte { return registration(t, requestClaims, ssaClaims) }, rules: func(r *RequestRules) {
			r.Issuers[1].Demands = []Demand{{Claim: "org_status", Values: []string{"Suspended"}}}
		}, last: "software_statement org_status"},
		{name: "signed by another", raw: func() []byte {
			return []byte(signJWS(t, requestHeader, jsonOf(with(requestClaims, "software_statement", statement(t, ssaClaims))), "PS256", directoryKey()))
		}, last: "request signature"},
		{name: "keys away", raw: func() []byte { return registration(t, requestClaims, ssaClaims) }, rules: func(r *RequestRules) {
			r.Keys = failingKeys{errors.New("down")}
		}, last: "request signature", verdict: trace.Unavailable},
		{name: "expired", raw: func() []byte { return registration(t, with(requestClaims, "exp", noon.Unix()-1), ssaClaims) }, last: "request iat, exp, nbf"},
		{name: "scope", raw: func() []byte { return registration(t, with(requestClaims, "scope", "openid all"), ssaClaims) }, last: "metadata scope"},
		{name: "unsigned", raw: func() []byte {
			return []byte(jsonOf(with(requestClaims, "software_statement", statement(t, ssaClaims), "scope", "openid all")))
		}, rules: func(r *RequestRules) { r.Unsigned = true }, last: "metadata scope", switched: "request signature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rules := rules(t)
			if tc.rules != nil {
				tc.rules(rules)
			}
			if tc.verdict == "" {
				tc.verdict = trace.Refused
			}
			steps, err := traceOf(t, tc.raw(), rules)
			if err == nil {
				t.Fatal("accepted")
			}
			last := steps[len(steps)-1]
			if last.Step+" "+last.Rule != tc.last || last.Verdict != tc.verdict || last.ErrorDescription != refusal.From(err).Description {
				t.Errorf("%+v, want %s %s with %q", last, tc.last, tc.verdict, refusal.From(err).Description)
			}
			for _, s := range steps[:len(steps)-1] {
				want := trace.Passed
				if s.Step+" "+s.Rule == tc.switched {
					want = trace.Off
				}
				if s.Verdict != want {
					t.Errorf("%+v, want %v", s, want)
				}
			}
		})
	}
}

// failingKeys can never be had.
type failingKeys struct{ err error }

func (k failingKeys) Keys(context.Context) ([]Key, error)    { return nil, k.err }
func (k failingKeys) Refresh(context.Context) ([]Key, error) { return nil, k.err }

func BenchmarkTrace(b *testing.B) {
	raw, rules := registration(b, requestClaims, fullStatement()), rules(b)
	for name, ctx := range map[string]func() context.Context{
		"off": context.Background,
		"on":  func() context.Context { return trace.NewContext(context.Background(), new(trace.Trace)) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ctx := ctx()
				r, err := VerifyRequest(ctx, raw, rules, noon)
				if err == nil {
					_, err = CheckMetadata(ctx, MetadataInput{Request: r, Supported: DefaultSupportedMetadata()})
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
