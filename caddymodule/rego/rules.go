package rego

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// decides is the rule that decides to which a rule belongs, in whatever package it is
// written; empty for others.
func decides(r *ast.Rule, path ast.Ref) string {
	for _, name := range []string{ruleDeny, ruleAllow, ruleNarrow, ruleApprove} {
		if r.Ref().HasPrefix(path.Append(ast.StringTerm(name))) {
			return name
		}
	}
	return ""
}

// decisive looks for the rules that decide, and at their forms. A form of which nothing
// is left when its conditions do not hold would not deny.
func decisive(s *sources, modules map[string]*ast.Module, path ast.Ref) (map[string]bool, error) {
	has, others := map[string]bool{}, map[string]bool{}
	var faults ast.Errors
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		m := modules[name]
		for _, r := range m.Rules {
			rule := decides(r, path)
			switch {
			case rule == "" && m.Package.Path.Equal(path):
				others[r.Head.Ref()[0].Value.String()] = true
				continue
			case rule == "":
				others["package "+strings.TrimPrefix(m.Package.Path.String(), "data.")] = true
				continue
			}
			has[rule] = true
			if text := form(rule, r, len(r.Ref()) > len(path)+1); text != "" {
				faults = append(faults, ast.NewError(ast.CompileErr, r.Location, "%s", text))
			}
		}
	}
	if err := all(faults); err != nil {
		return nil, err
	}
	if !has[ruleDeny] && !has[ruleAllow] && !has[ruleApprove] {
		there := "nothing"
		if len(others) > 0 {
			there = strings.Join(slices.Sorted(maps.Keys(others)), ", ")
		}
		return nil, fmt.Errorf("%s: package %s has neither deny nor allow nor require_approval; there is %s", s.from, strings.TrimPrefix(path.String(), "data."), there)
	}
	return has, nil
}

// form is what is wrong with a rule's; below: it is for a member.
func form(name string, r *ast.Rule, below bool) string {
	switch set := r.Head.RuleKind() == ast.MultiValue; {
	case len(r.Head.Args) > 0:
		return name + " must not be a function"
	case name == ruleDeny && (!set || below):
		return `deny must be a set: deny contains "text" if ...`
	case name == ruleApprove && (!set || below):
		return `require_approval must be a set: require_approval contains "reason" if ...`
	case name == ruleAllow && (set || below):
		return "allow must be true or false: allow if ..."
	case name == ruleNarrow && set:
		return "narrow must be an object: narrow := {\"scopes\": [...]} if ..."
	}
	return ""
}

// checkData refuses references below data to what is nowhere.
func checkData(c *ast.Compiler, data map[string]any) error {
	var faults ast.Errors
	for _, name := range slices.Sorted(maps.Keys(c.Modules)) {
		ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case *ast.Expr:
				t, ok := x.Terms.(*ast.Term)
				if ok && x.Negated {
					_, ok = t.Value.(ast.Ref)
					return ok // not data.x asks whether it is there
				}
			case *ast.Term:
				ref, ok := x.Value.(ast.Ref)
				if ok && ref.HasPrefix(ast.DefaultRootRef) && !known(c.RuleTree, data, ref) {
					faults = append(faults, ast.NewError(ast.CompileErr, x.Location, "%v: there is no such rule, and no such data", ref.GroundPrefix()))
				}
			}
			return false
		}).Walk(c.Modules[name])
	}
	return all(faults)
}

// known tells whether the fixed part of a reference is in the rules or in the data.
func known(tree *ast.TreeNode, data any, ref ast.Ref) bool {
	tree = tree.Child(ast.DefaultRootDocument.Value)
	for _, step := range ref[1:] {
		name, ok := step.Value.(ast.String)
		if !ok {
			return true
		}
		if tree != nil {
			tree = tree.Child(name)
		}
		object, _ := data.(map[string]any)
		data, ok = object[string(name)]
		switch {
		case tree != nil && len(tree.Values) > 0:
			return true
		case tree == nil && !ok:
			return false
		}
	}
	return true
}
