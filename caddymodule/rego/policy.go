// Package rego is the policy language Rego, evaluated in this process by Open Policy
// Agent's library: a file, a directory or a bundle that is read when the configuration
// is loaded, and never from the network.
//
// # What a policy says
//
// Its package (openbanking_dcr, unless told otherwise) has at least one of three rules:
//
//	deny contains "the organisation is not active" if input.ssa.org_status != "Active"
//	deny contains {"text": "...", "reason": "...", "code": "invalid_client_metadata"} if ...
//	allow if ...
//	require_approval contains "an organisation that we do not know" if ...
//
// It denies if deny holds anything, or if there is an allow that is not true. An element
// of deny is the text that the TPP is told, or an object with the text, a reason for
// operators, and the code: unapproved_software_statement, which is the default, or
// invalid_client_metadata. Of several, in the order of their texts, the first is told;
// the reason has all. A rule narrow may be an object of scopes and grant_types, arrays or
// sets of strings: all that an allowed registration keeps of those it asks for. If
// require_approval holds anything, an operator must approve what is allowed, and reads it.
//
// # What it may read
//
// input is verify.PolicyInput. A name that it does not have is a load error. Its own
// members are always there, empty where there is nothing to tell: "", [] or, for
// certificate, token, client, software and registration, null. Times are RFC 3339 text in UTC.
// Claims are what the TPP or the directory wrote.
//
// In Rego what is missing makes a rule silently not hold, and a deny that does not hold
// lets in. So nothing may be missing:
//
//   - A claim below input.request, input.ssa or input.token.claims that any rule names,
//     to its last name, must be there, or the policy fails, which denies. Where elements
//     are read ([_], some, every, in) there must be an array or an object, and the names
//     after [_] must be in each of its elements. A claim that may be absent is read as
//     object.get(input.ssa, "name", default), or asked for with not input.ssa.name alone.
//   - input.certificate, input.token and input.software must not be null if any rule reads below them;
//     object.get(input, ["certificate", "subject"], "") may.
//   - input.client is null on create, input.registration on read and delete: what reads
//     below them simply does not hold there.
//   - A name below data that is in no file and no rule is a load error.
//   - Reads that cannot be followed are load errors: input itself and its objects as
//     values (variables, imports, arguments of functions, walk, some k, v in input.ssa),
//     members by a name that is a variable or computed (input[x], input.ssa[x],
//     input.ssa.address[x]; [_] is every element), members and elements of an argument
//     of a function, and with, which belongs in tests.
//   - A member that is always there is no condition by itself, and none with not.
//
// Variables of a rule are followed: after a := input.ssa.address, and with
// some a in input.ssa.addresses, a.city must be there, as if it were written out. (A
// variable of the same name elsewhere in the rule is taken for the same.) Arguments of
// functions are not: a function compares what it is given, or reads it as
// object.get(address, "city", default). Nor are claims within values that rules make or
// functions return, and rules that another package, or another rule, stands for: to read
// below such a claim (a := [input.ssa.address], then a[0].city) is a load error, too. So are
// variables in a pattern for a claim ({"city": c} := input.ssa.address), and members by name
// of an object of claims that are found by claims ({k: v | some k, v in input.ssa.address}). Types
// are not looked at: "5" < 6 is false in Rego, and no error. Nor is it an error to go through
// a claim that is read with a default and is no array.
//
// A denial with a text stands even if a claim is missing elsewhere.
//
// # What it cannot do
//
// There are no built-in functions that reach the network or the environment, that are
// not deterministic (the time is input.now), or whose work grows much faster than their
// arguments. A function that fails denies. A decision that does not end in time denies,
// and is stopped: between two steps of a rule, and in functions that make much of little.
// One function can still be slow by itself (a regular expression with a long pattern, for
// a long text); nobody waits for it, and while a few such are running all are denied.
// Memory is not counted: what a policy builds from its own constants is its author's.
package rego

import (
	"context"
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Decide asks the rules.
//
// Errors: of claims that the rules read and the request does not have, of functions that
// fail, of a decision that is none, and when ctx ends.
func (p *Policy) Decide(ctx context.Context, in *verify.PolicyInput) (verify.Decision, error) {
	input, err := p.program.references.input(in)
	if err != nil {
		return verify.Decision{}, err
	}
	missing := p.program.references.missing(input)
	d, err := p.program.inTime(ctx, input)
	switch {
	case ctx.Err() != nil:
		return verify.Decision{}, fmt.Errorf("took too long: %w", ctx.Err())
	case missing != nil && (err != nil || d.Text == ""):
		return verify.Decision{}, missing
	}
	return d, err
}

// Reads tells whether any rule names it.
func (p *Policy) Reads(name string) bool { return p.program.references.read.parts[name] != nil }
