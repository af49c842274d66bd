package rego

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// program are compiled rules, ready to be asked by many at once.
type program struct {
	query      rego.PreparedEvalQuery
	references *references
	// allows: there is a rule allow.
	allows bool
	// late are the evaluations that nobody waits for any more.
	late atomic.Int32
}

// answer is the variable of the query that holds what the rules say.
const answer = "answer"

// The rules that decide.
const (
	ruleDeny    = "deny"
	ruleAllow   = "allow"
	ruleNarrow  = "narrow"
	ruleApprove = "require_approval"
)

func compile(ctx context.Context, s *sources, path ast.Ref) (*program, error) {
	modules, err := s.parse(path)
	if err != nil {
		return nil, err
	}
	p := &program{references: newReferences()}
	has, err := decisive(s, modules, path)
	if err != nil {
		return nil, err
	}
	p.allows = has[ruleAllow]
	p.references.modules(modules)
	store := inmem.NewFromObjectWithOpts(orEmpty(s.data), inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	compiler, err := p.check(ctx, modules, store)
	if err != nil {
		return nil, err
	}
	if err := checkData(compiler, s.data); err != nil {
		return nil, err
	}
	p.query, err = rego.New(rego.Compiler(compiler), rego.Store(store), rego.StrictBuiltinErrors(true),
		rego.ParsedQuery(question(path, has))).PrepareForEval(ctx)
	return p, err
}

func orEmpty(data map[string]any) map[string]any {
	if data == nil {
		return map[string]any{}
	}
	return data
}

// parse reads every file. Tests are left out, unless they decide.
func (s *sources) parse(path ast.Ref) (map[string]*ast.Module, error) {
	options := ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities()}
	modules := map[string]*ast.Module{}
	var faults ast.Errors
	for _, name := range slices.Sorted(maps.Keys(s.rego)) {
		m, err := ast.ParseModuleWithOpts(name, s.rego[name], options)
		var parsing ast.Errors
		switch {
		case errors.As(err, &parsing):
			faults = append(faults, parsing...)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		case !strings.HasSuffix(name, "_test.rego"):
			modules[name] = m
		case slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool { return decides(r, path) != "" }):
			return nil, fmt.Errorf("%s: is a test by its name, but has a rule that decides", name)
		}
	}
	return modules, all(faults)
}

// check compiles, twice: with types for what may be null, and to be run.
func (p *program) check(ctx context.Context, modules map[string]*ast.Module, store storage.Store) (*ast.Compiler, error) {
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	compiled := func(modules map[string]*ast.Module, nullable bool) (*ast.Compiler, error) {
		schemas := ast.NewSchemaSet()
		schemas.Put(ast.SchemaRootRef, inputShape.schema(nullable))
		c := ast.NewCompiler().WithCapabilities(capabilities()).WithDefaultRegoVersion(ast.RegoV1).WithStrict(true).
			WithSchemas(schemas).WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn)).SetErrorLimit(-1)
		c.Compile(modules)
		return c, all(c.Errors)
	}
	if _, err := compiled(p.references.withoutNulls(modules), false); err != nil {
		return nil, err
	}
	if err := all(p.references.faults); err != nil {
		return nil, err
	}
	return compiled(modules, true)
}

// withoutNulls are copies in which what is compared with null is null.
func (r *references) withoutNulls(modules map[string]*ast.Module) map[string]*ast.Module {
	kept := map[*ast.Term]ast.Value{}
	for t := range r.nulls {
		kept[t] = t.Value
		t.Value = ast.NullValue
	}
	defer func() {
		for t, v := range kept {
			t.Value = v
		}
	}()
	copies := map[string]*ast.Module{}
	for name, m := range modules {
		copies[name] = m.Copy()
	}
	return copies
}

// all faults as one error, a line each.
func all(faults ast.Errors) error {
	if len(faults) == 0 {
		return nil
	}
	faults.Sort()
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.Error()
	}
	return errors.New(strings.Join(slices.Compact(lines), "\n"))
}

// question asks for [[deny], [allow], [narrow], [require_approval]]: what is undefined is in no array.
func question(path ast.Ref, has map[string]bool) ast.Body {
	parts := []*ast.Term{ast.ArrayTerm(), ast.ArrayTerm(), ast.ArrayTerm(), ast.ArrayTerm()}
	for i, name := range []string{ruleDeny, ruleAllow, ruleNarrow, ruleApprove} {
		if has[name] {
			rule := ast.NewTerm(path.Append(ast.StringTerm(name)))
			parts[i] = ast.ArrayComprehensionTerm(ast.VarTerm("x"), ast.NewBody(ast.Equality.Expr(ast.VarTerm("x"), rule)))
		}
	}
	return ast.NewBody(ast.Equality.Expr(ast.VarTerm(answer), ast.ArrayTerm(parts...)))
}
