package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// Policy is what one bank demands of registrations beside the protections and the
// rule table: whom it lets in. It may be asked by many requests at once.
//
// Decide returns within ctx, keeps nothing of in, and changes nothing. An error, like
// a panic, counts as a denial whose reason is the error's text: for operators, not for
// the TPP.
type Policy interface {
	Decide(ctx context.Context, in *PolicyInput) (Decision, error)
}

// Reader is a Policy that knows what it reads. Default: all of it.
type Reader interface {
	// Reads tells whether a name of the input may be read: "certificate", "software".
	Reads(name string) bool
}

// Reads tells whether a policy may read a name of the input.
func Reads(p Policy, name string) bool {
	r, ok := p.(Reader)
	return !ok || r.Reads(name)
}

// Decision is what a policy says. The zero value denies.
type Decision struct {
	// Allowed, or denied.
	Allowed bool
	// Kind of a denial: UnapprovedSoftwareStatement or InvalidClientMetadata. Default:
	// the first.
	Kind refusal.Kind
	// Text of a denial is told to the TPP. Default: that the bank's policy refuses it.
	Text string
	// Reason of a denial is for operators. Default: Text.
	Reason string
	// Approval is why an operator must approve what is allowed, for operators; empty where
	// nobody must. It counts for registrations and updates.
	Approval string
	// Scopes and GrantTypes are all that is left of those that the registration asks
	// for, if it asks for them. nil: what it asks for. To leave nothing is a fault.
	Scopes, GrantTypes []string
	// Fault: the policy could not decide, which denies. Decide returns it as its error.
	Fault error
}

// PolicyCodes are the error codes that a policy's denial may have.
var PolicyCodes = map[string]refusal.Kind{
	refusal.UnapprovedSoftwareStatement.Code(): refusal.UnapprovedSoftwareStatement,
	refusal.InvalidClientMetadata.Code():       refusal.InvalidClientMetadata,
}

// DefaultPolicyTime is what one policy may take for a decision, MaxPolicyTime what it
// may be given: a TPP waits for all of them.
const (
	DefaultPolicyTime = 50 * time.Millisecond
	MaxPolicyTime     = time.Second
)

// Evaluate asks a policy, in bounded time. Whatever goes wrong is a denial with a
// Fault; it never panics.
func Evaluate(request context.Context, p Policy, in *PolicyInput, within time.Duration) (d Decision) {
	ctx, cancel := context.WithTimeout(request, within)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			d = fault(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	if in.CertificateFault != nil && Reads(p, "certificate") {
		return fault(in.CertificateFault)
	}
	d, err := p.Decide(ctx, in)
	if err == nil {
		err = d.Fault
	}
	if err == nil || errors.Is(err, ctx.Err()) { // if it has not kept to its time, it does not matter what it says
		switch {
		case request.Err() != nil:
			return fault(errEnded)
		case ctx.Err() != nil:
			return fault(tooLate(within))
		}
	}
	if err != nil {
		return fault(err)
	}
	return d.checked(in)
}

var errEnded = errors.New("the request ended before it was decided")

func tooLate(within time.Duration) error {
	if within >= MaxPolicyTime {
		return fmt.Errorf("took longer than %v, and no timeout may be longer than %v; make it cheaper", within, MaxPolicyTime)
	}
	return fmt.Errorf("took longer than its timeout, %v; make it cheaper, or raise timeout in its block (at most %v)", within, MaxPolicyTime)
}

func fault(err error) Decision { return Decision{Fault: err, Reason: trace.Bounded(err.Error())} }

// checked refuses a decision that is not what one may be.
func (d Decision) checked(in *PolicyInput) Decision {
	if d.Allowed {
		if err := d.narrows(in.Registration); err != nil {
			return fault(err)
		}
		return Decision{Allowed: true, Approval: trace.Bounded(d.Approval), Scopes: d.Scopes, GrantTypes: d.GrantTypes}
	}
	switch d.Kind {
	case 0, refusal.UnapprovedSoftwareStatement, refusal.InvalidClientMetadata:
	default:
		return fault(fmt.Errorf("denies as %s, which is none of a policy's codes", d.Kind.Code()))
	}
	d.Approval = ""
	d.Reason = trace.Bounded(cmp.Or(d.Reason, d.Text, "the policy gives no reason"))
	return d
}

// narrows refuses what takes away everything.
func (d Decision) narrows(m *Metadata) error {
	for _, n := range []struct {
		what string
		to   []string
		of   func() []string
	}{
		{"scope", d.Scopes, func() []string { return strings.Fields(m.Scope) }},
		{"grant_types", d.GrantTypes, func() []string { return m.GrantTypes }},
	} {
		if n.to == nil {
			continue
		}
		if m == nil {
			return fmt.Errorf("narrows %s of a request that registers nothing", n.what)
		}
		if !slices.ContainsFunc(n.to, func(v string) bool { return slices.Contains(n.of(), v) }) {
			return fmt.Errorf("narrows %s to %q, which leaves nothing of %q; deny instead", n.what, n.to, n.of())
		}
	}
	return nil
}

// Error is the refusal of a denial; nil for what is allowed. name is the policy's, text
// what the TPP is told where the decision has no Text of its own; empty for a general one.
// Of a fault it is always told the general one: what text says need not be true of it.
func (d Decision) Error(name, text string) *refusal.Error {
	if d.Allowed {
		return nil
	}
	text = cmp.Or(d.Text, text)
	if text == "" || d.Fault != nil {
		text = "the bank's registration policy does not let this software in; ask the bank"
	}
	kind := d.Kind
	if kind == 0 {
		kind = refusal.UnapprovedSoftwareStatement
	}
	return refusal.New(kind, "policy", "%s", text).Because(errors.New("policy " + name + ": " + d.Reason))
}

// Narrow takes from the metadata what a decision has not left. Its order stays.
func (m *Metadata) Narrow(d Decision) {
	if d.Scopes != nil {
		m.Scope = strings.Join(keep(strings.Fields(m.Scope), d.Scopes), " ")
	}
	if d.GrantTypes != nil {
		m.GrantTypes = keep(m.GrantTypes, d.GrantTypes)
		m.FollowGrants()
	}
}

// FollowGrants takes what makes no sense without a grant that is not there (RFC 7591
// 2.1, CIBA Core 4).
func (m *Metadata) FollowGrants() {
	if !slices.Contains(m.GrantTypes, "authorization_code") {
		m.ResponseTypes = []string{}
	}
	if !slices.Contains(m.GrantTypes, GrantCIBA) {
		m.BackchannelMode, m.BackchannelEndpoint, m.BackchannelAlg, m.BackchannelUserCode = "", "", "", nil
	}
}

func keep(list, of []string) (kept []string) {
	for _, v := range list {
		if slices.Contains(of, v) {
			kept = append(kept, v)
		}
	}
	return kept
}
