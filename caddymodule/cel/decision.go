package cel

import (
	"cmp"
	"errors"
	"reflect"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// decision is the type of what allow, require_approval, deny and reject give.
var decisionType = celgo.OpaqueType("decision")

type decision struct{ verify.Decision }

func (d decision) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("a decision is nothing else")
}

func (d decision) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return decisionType
	}
	return types.NewErr("a decision is no %s", t.TypeName())
}

func (d decision) Equal(ref.Val) ref.Val { return types.NewErr("decisions are not compared") }
func (d decision) Type() ref.Type        { return decisionType }
func (d decision) Value() any            { return d.Decision }

// decisions are the functions that make one:
//
//	allow()                     lets the registration in
//	deny(text)                  refuses it as unapproved_software_statement, text is told to the TPP
//	reject(text)                refuses it as invalid_client_metadata
//	require_approval(reason)    lets it in when an operator has approved it, who reads the reason
//	<decision>.scopes(list)     allows it with no other scopes than these
//	<decision>.grants(list)     allows it with no other grant types than these
func decisions() []celgo.EnvOption {
	denial := func(kind refusal.Kind) celgo.OverloadOpt {
		return celgo.UnaryBinding(func(text ref.Val) ref.Val {
			s, ok := text.(types.String)
			if !ok {
				return types.MaybeNoSuchOverloadErr(text)
			}
			return decision{verify.Decision{Kind: kind, Text: string(s)}}
		})
	}
	narrow := func(set func(*verify.Decision, []string)) celgo.OverloadOpt {
		return celgo.BinaryBinding(func(from, list ref.Val) ref.Val {
			d, ok := from.(decision)
			if !ok {
				return types.MaybeNoSuchOverloadErr(from)
			}
			names, err := list.ConvertToNative(reflect.TypeFor[[]string]())
			if err != nil {
				return types.WrapErr(err)
			}
			set(&d.Decision, names.([]string))
			return d
		})
	}
	list := celgo.ListType(celgo.StringType)
	return []celgo.EnvOption{
		celgo.Function("allow", celgo.Overload("allow", nil, decisionType, celgo.FunctionBinding(func(...ref.Val) ref.Val {
			return decision{verify.Decision{Allowed: true}}
		}))),
		celgo.Function("deny", celgo.Overload("deny_string", []*celgo.Type{celgo.StringType}, decisionType, denial(refusal.UnapprovedSoftwareStatement))),
		celgo.Function("reject", celgo.Overload("reject_string", []*celgo.Type{celgo.StringType}, decisionType, denial(refusal.InvalidClientMetadata))),
		celgo.Function("require_approval", celgo.Overload("require_approval_string", []*celgo.Type{celgo.StringType}, decisionType, celgo.UnaryBinding(func(reason ref.Val) ref.Val {
			s, ok := reason.(types.String)
			if !ok {
				return types.MaybeNoSuchOverloadErr(reason)
			}
			return decision{verify.Decision{Allowed: true, Approval: cmp.Or(string(s), "the policy gives no reason")}}
		}))),
		celgo.Function("scopes", celgo.MemberOverload("decision_scopes_list", []*celgo.Type{decisionType, list}, decisionType,
			narrow(func(d *verify.Decision, names []string) { d.Scopes = names }))),
		celgo.Function("grants", celgo.MemberOverload("decision_grants_list", []*celgo.Type{decisionType, list}, decisionType,
			narrow(func(d *verify.Decision, names []string) { d.GrantTypes = names }))),
	}
}
