package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// policyFunc is a policy of one function.
type policyFunc func(context.Context, *PolicyInput) (Decision, error)

func (f policyFunc) Decide(ctx context.Context, in *PolicyInput) (Decision, error) { return f(ctx, in) }

// Whatever a policy does, its decision is one, and only a clear yes allows.
func TestEvaluate(t *testing.T) {
	registration := func() *Metadata {
		return &Metadata{Scope: "openid accounts payments", GrantTypes: []string{"authorization_code", "client_credentials"}}
	}
	for _, tc := range []struct {
		name   string
		policy policyFunc
		in     PolicyInput
		allow  bool
		// fault and refused are words of the fault, and of what the TPP is told.
		fault, refused string
	}{
		{name: "yes", policy: func(context.Context, *PolicyInput) (Decision, error) { return Decision{Allowed: true}, nil }, allow: true},
		{name: "nothing", policy: func(context.Context, *PolicyInput) (Decision, error) { return Decision{}, nil },
			refused: "unapproved_software_statement (policy): the bank's registration policy does not let this software in; ask the bank: policy p: the policy gives no reason"},
		{name: "its own text", policy: func(context.Context, *PolicyInput) (Decision, error) {
			return Decision{Kind: refusal.InvalidClientMetadata, Text: "no payments here", Reason: "rule 7"}, nil
		}, refused: "invalid_client_metadata (policy): no payments here: policy p: rule 7"},
		{name: "yes, and an error", policy: func(context.Context, *PolicyInput) (Decision, error) {
			return Decision{Allowed: true}, errors.New("half done")
		}, fault: "half done"},
		{name: "yes, and a fault", policy: func(context.Context, *PolicyInput) (Decision, error) {
			return Decision{Allowed: true, Fault: errors.New("the database is away")}, nil
		}, fault: "the database is away"},
		{name: "panic", policy: func(context.Context, *PolicyInput) (Decision, error) { panic("oh") }, fault: "panic: oh"},
		{name: "hangs", policy: func(ctx context.Context, _ *PolicyInput) (Decision, error) {
			<-ctx.Done()
			return Decision{}, ctx.Err()
		}, fault: "took longer than its timeout, 20ms; make it cheaper, or raise timeout in its block (at most 1s)"},
		{name: "yes, too late", policy: func(ctx context.Context, _ *PolicyInput) (Decision, error) {
			<-ctx.Done()
			return Decision{Allowed: true}, nil
		}, fault: "took longer than its timeout, 20ms; make it cheaper, or raise timeout in its block (at most 1s)"},
		{name: "another code", policy: func(context.Context, *PolicyInput) (Decision, error) { return Decision{Kind: refusal.NotFound}, nil }, fault: "none of a policy's codes"},
		{name: "narrows", policy: func(context.Context, *PolicyInput) (Decision, error) {
			return Decision{Allowed: true, Scopes: []string{"accounts", "more"}, GrantTypes: []string{"client_credentials"}}, nil
		}, in: PolicyInput{Registration: registration()}, allow: true},
		{name: "leaves no scope", policy: func(context.Context, *PolicyInput) (Decision, error) {
			return Decision{Allowed: true, Scopes: []string{"more"}}, nil
		}, in: PolicyInput{Registration: registration()}, fault: `narrows scope to ["more"], which leaves nothing`},
		{name: "leaves no grant", policy: func(context.Context, *PolicyInput) (Decision, error) {
			return Decision{Allowed: true, GrantTypes: []string{}}, nil
		}, in: PolicyInput{Registration: registration()}, fault: "narrows grant_types to []"},
		{name: "narrows nothing", policy: func(context.Context, *PolicyInput) (Decision, error) {
			return Decision{Allowed: true, Scopes: []string{"openid"}}, nil
		}, fault: "registers nothing"},
		{name: "certificate that cannot be read", policy: func(context.Context, *PolicyInput) (Decision, error) { return Decision{Allowed: true}, nil },
			in: PolicyInput{CertificateFault: errors.New("unreadable")}, fault: "unreadable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d Decision
			// By a clock that runs while all wait: a machine that is busy makes nobody late.
			synctest.Test(t, func(t *testing.T) { d = Evaluate(t.Context(), tc.policy, &tc.in, 20*time.Millisecond) })
			if d.Allowed != tc.allow || (d.Fault != nil) != (tc.fault != "") || d.Fault != nil && !strings.Contains(d.Fault.Error(), tc.fault) {
				t.Errorf("%+v, want allowed %t with the fault %q", d, tc.allow, tc.fault)
			}
			err := d.Error("p", "")
			if (err == nil) != tc.allow {
				t.Fatalf("%v, want a refusal: %t", err, !tc.allow)
			}
			if tc.refused != "" && err.Error() != tc.refused {
				t.Errorf("%v, want %q", err, tc.refused)
			}
			if tc.fault != "" && (err.Code() != "unapproved_software_statement" || strings.Contains(err.Description, tc.fault)) {
				t.Errorf("the TPP is told %v", err)
			}
		})
	}
}

// A TPP is not told the reason of the block for what could not be decided.
func TestFaultText(t *testing.T) {
	const general = "the bank's registration policy does not let this software in; ask the bank"
	for _, tc := range []struct {
		d    Decision
		want string
	}{
		{Decision{}, "connect with a QWAC; ask the bank"},
		{Decision{Text: "x: no; ask the bank"}, "x: no; ask the bank"},
		{fault(errors.New("no such key")), general},
		{Decision{Text: "x: no", Fault: errors.New("no such key")}, general},
	} {
		if err := tc.d.Error("p", "connect with a QWAC; ask the bank"); err.Description != tc.want {
			t.Errorf("%+v: %s, want %q", tc.d, err.Description, tc.want)
		}
	}
}

// What ends a decision before its time, and the time that no block can give.
func TestEvaluateLate(t *testing.T) {
	waits := policyFunc(func(ctx context.Context, _ *PolicyInput) (Decision, error) {
		<-ctx.Done()
		return Decision{}, ctx.Err()
	})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if d := Evaluate(gone, waits, new(PolicyInput), time.Hour); d.Fault == nil || d.Reason != "the request ended before it was decided" {
		t.Errorf("%+v, want a fault, because the request ended", d)
	}
	own := policyFunc(func(context.Context, *PolicyInput) (Decision, error) {
		return Decision{}, fmt.Errorf("the database: %w", context.DeadlineExceeded)
	})
	if d := Evaluate(t.Context(), own, new(PolicyInput), time.Hour); d.Reason != "the database: context deadline exceeded" {
		t.Errorf("%+v, want the policy's own reason", d)
	}
	if err := tooLate(10 * time.Second); err.Error() != "took longer than 10s, and no timeout may be longer than 1s; make it cheaper" {
		t.Error(err)
	}
}

// A policy that says that it does not read the certificate needs none that can be read.
func TestEvaluateWithoutCertificate(t *testing.T) {
	in := &PolicyInput{CertificateFault: errors.New("unreadable")}
	if d := Evaluate(t.Context(), blind{}, in, time.Second); !d.Allowed {
		t.Errorf("%+v, want it allowed", d)
	}
}

type blind struct{}

func (blind) Reads(string) bool { return false }
func (blind) Decide(context.Context, *PolicyInput) (Decision, error) {
	return Decision{Allowed: true}, nil
}

func TestNarrow(t *testing.T) {
	no := false
	m := Metadata{Scope: "openid accounts payments", GrantTypes: []string{"authorization_code", "client_credentials", GrantCIBA}, ResponseTypes: []string{"code"},
		BackchannelMode: "poll", BackchannelAlg: "PS256", BackchannelUserCode: &no}
	same := m
	same.Narrow(Decision{Allowed: true})
	if same.Scope != m.Scope || len(same.GrantTypes) != 3 || same.BackchannelMode != "poll" {
		t.Errorf("%+v, want what it was, %+v", same, m)
	}
	m.Narrow(Decision{Allowed: true, Scopes: []string{"payments", "openid", "other"}, GrantTypes: []string{"client_credentials"}})
	if m.Scope != "openid payments" || !slices.Equal(m.GrantTypes, []string{"client_credentials"}) || m.ResponseTypes == nil || len(m.ResponseTypes) > 0 ||
		m.BackchannelMode+m.BackchannelAlg != "" || m.BackchannelUserCode != nil {
		t.Errorf("%+v, want only what the policy leaves", m)
	}
}

// The input as a policy in Rego, and a case of a policy's tests, have it.
func TestPolicyInputJSON(t *testing.T) {
	const text = `{"operation":"create","workspace":"w","remote":"192.0.2.1","now":"2026-03-01T12:00:00Z","request":{"iss":"s"},"ssa":{"org_id":"o","x":[1,{"y":null}]},` +
		`"registration":null,"certificate":null,"token":{"client_id":"c","scopes":["dcr_register"],"claims":{"a":1}},"client":null,"software":{"clients":2}}`
	var in PolicyInput
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(&in)
	if err != nil || string(back) != text {
		t.Errorf("%s, %v; want %s", back, err, text)
	}
	if err := json.Unmarshal([]byte(`{"ssa":{"a":1,"a":2}}`), &in); err == nil {
		t.Error("a claim twice")
	}
}

// What the QCStatements say, and that those which cannot be read are no absent ones.
func TestQCStatementsForPolicy(t *testing.T) {
	with := func(der []byte) *Certificate {
		return &Certificate{Leaf: issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp"))), ecKey(), func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: der})
		})}
	}
	p, err := with(sequence(t, sequence(t, asn1OID(t, oidCompliance)), qcType(t, oidWeb), psd2(t, "Financial Conduct Authority", "GB-FCA", role(t, oidAI, "PSP_AI")))).ForPolicy()
	if err != nil || !p.QWAC || !slices.Equal(p.PSD2Roles, []string{"PSP_AI"}) || p.NCAID != "GB-FCA" || p.NCAName != "Financial Conduct Authority" {
		t.Errorf("%+v, %v; want a QWAC of PSP_AI, known to the Financial Conduct Authority (GB-FCA)", p, err)
	}
	if p, err := with([]byte("x")).ForPolicy(); err == nil {
		t.Errorf("%+v, want an error", p)
	}
}

func TestCertificateForPolicy(t *testing.T) {
	leaf := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String(dn.OrganizationIdentifier, "PSDGB-FCA-123456")), dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp"))), ecKey())
	c, err := CaptureCertificate(&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, leaf}}}, noon)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.ForPolicy()
	if err != nil {
		t.Fatal(err)
	}
	if p.Subject != "CN=tpp,organizationIdentifier=PSDGB-FCA-123456,C=GB" || p.CommonName != "tpp" || p.OrganizationIdentifier != "PSDGB-FCA-123456" ||
		p.Thumbprint != c.Thumbprint || p.Serial == "" || p.Issuer == "" || p.QWAC || len(p.PSD2Roles) != 0 || !p.NotAfter.Equal(leaf.NotAfter) ||
		!slices.Equal(p.CASPKI, []string{SPKIDigest(leaf)}) {
		t.Errorf("%+v, want the subject, thumbprint, end and CA of a certificate of no PSD2 role", p)
	}
}

// TestEvaluateApproval: what asks for approval is allowed, with a reason that is bounded; a
// denial asks for none.
func TestEvaluateApproval(t *testing.T) {
	for name, c := range map[string]struct{ said, want Decision }{
		"allowed": {Decision{Allowed: true, Approval: "a new organisation"}, Decision{Allowed: true, Approval: "a new organisation"}},
		"denied":  {Decision{Approval: "a new organisation", Text: "no"}, Decision{Reason: "no", Text: "no"}},
		"long":    {Decision{Allowed: true, Approval: strings.Repeat("x", 3000)}, Decision{Allowed: true, Approval: strings.Repeat("x", 2000) + "..."}},
	} {
		own := policyFunc(func(context.Context, *PolicyInput) (Decision, error) { return c.said, nil })
		d := Evaluate(t.Context(), own, new(PolicyInput), time.Minute)
		if d.Allowed != c.want.Allowed || d.Approval != c.want.Approval || d.Reason != c.want.Reason {
			t.Errorf("%s: %+v, want %+v", name, d, c.want)
		}
	}
}
