package cel

import (
	"fmt"
	"strings"
	"sync"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/ext"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

const (
	// DefaultCostLimit is how much an expression may cost: CEL counts about one for
	// each step, and more for texts and lists by their length. It is some milliseconds.
	DefaultCostLimit = 1_000_000
	// MaxCostLimit is more than any timeout leaves time for.
	MaxCostLimit = 100_000_000
	// maxSource is the length of an expression in bytes, at most.
	maxSource = 64 << 10
	// checkEvery is after how many turns of a loop the clock is looked at.
	checkEvery = 64
)

// inputs are the variables of an expression, in the order of the documentation.
var inputs = []struct {
	name string
	of   *celgo.Type
}{
	{"operation", celgo.StringType},
	{"request", claimsType},
	{"ssa", claimsType},
	{"registration", celgo.ObjectType("verify.Metadata")},
	{"certificate", celgo.ObjectType("verify.PolicyCertificate")},
	{"token", celgo.ObjectType("verify.PolicyToken")},
	{"client", celgo.ObjectType("verify.PolicyClient")},
	{"software", celgo.ObjectType("verify.PolicySoftware")},
	{"workspace", celgo.StringType},
	{"remote", celgo.StringType},
	{"now", celgo.TimestampType},
}

// environment is what expressions are checked against. It is made once.
var environment = sync.OnceValues(func() (*celgo.Env, error) {
	options := []celgo.EnvOption{
		celgo.EnableMacroCallTracking(),
		celgo.ParserExpressionSizeLimit(maxSource), celgo.ParserRecursionLimit(100),
		celgo.OptionalTypes(), ext.Strings(), ext.Sets(),
		ext.NativeTypes(typesOf[verify.PolicyCertificate](), typesOf[verify.PolicyClient](), typesOf[verify.PolicySoftware](), typesOf[verify.Metadata](), typesOf[verify.PolicyToken](), ext.ParseStructTag("json")),
		strictly,
	}
	for _, v := range inputs {
		options = append(options, celgo.Variable(v.name, v.of))
	}
	return celgo.NewEnv(append(options, decisions()...)...)
})

// program is a checked expression, ready to be asked by many at once.
type program struct {
	celgo.Program
	// uncounted is the same, faster, for inputs of usual size; nil where it might cost
	// more than its limit.
	uncounted celgo.Program
	// explaining is the same, slower, and remembers what every part was.
	explaining celgo.Program
	// conditions are the parts that && joins; one where it joins none.
	conditions []condition
	reads      map[string]bool

	// root is the expression as it was checked, and info where its parts stand, from
	// the first line on.
	root  ast.Expr
	info  *ast.SourceInfo
	first int
}

// condition is one part of the expression.
type condition struct {
	ast.Expr
	text string
	line int
}

// compile checks an expression.
func compile(where place, limit uint64) (*program, error) {
	if isEmpty(where.text) {
		return nil, fmt.Errorf("%s: there is no expression", where.source)
	}
	if begin := verify.Placeholder(where.text); begin != "" { // as text it would forbid what nobody has
		return nil, fmt.Errorf("%s: placeholders like %sX} are not replaced in an expression; write the value itself", where.begin(), begin)
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(where.text)
	if issues.Err() != nil {
		return nil, loadError(env, where, issues)
	}
	if err := refuseCalls(checked, where); err != nil {
		return nil, err
	}
	if err := checkLiterals(checked, where); err != nil {
		return nil, err
	}
	if err := checkTexts(checked, where); err != nil {
		return nil, err
	}
	if t := checked.OutputType(); !t.IsExactType(celgo.BoolType) && !t.IsExactType(decisionType) {
		gives := t.String()
		if t.IsExactType(celgo.DynType) {
			gives = "the value of a claim"
		}
		return nil, fmt.Errorf("%s: the expression gives %s; it must give true or false, or what allow(), require_approval(reason), deny(text) or reject(text) give: a comparison is missing, like == true or == \"Active\"", where.begin(), gives)
	}
	p := &program{root: checked.NativeRep().Expr(), info: checked.NativeRep().SourceInfo(), first: where.line, reads: map[string]bool{}}
	for _, r := range checked.NativeRep().ReferenceMap() {
		p.reads[r.Name] = true // and further names, which nobody asks for
	}
	for _, e := range conjuncts(p.root, nil) {
		p.conditions = append(p.conditions, p.condition(e))
	}
	timed := celgo.InterruptCheckFrequency(checkEvery)
	if costsLess(env, checked, limit) {
		if p.uncounted, err = env.Program(checked, timed, celgo.EvalOptions(celgo.OptOptimize)); err != nil {
			return nil, fmt.Errorf("%s: %w", where.begin(), err)
		}
	}
	bounds := []celgo.ProgramOption{celgo.CostLimit(limit), timed}
	if p.Program, err = env.Program(checked, append(bounds, celgo.EvalOptions(celgo.OptOptimize))...); err != nil {
		return nil, fmt.Errorf("%s: %w", where.begin(), err)
	}
	p.explaining, err = env.Program(checked, append(bounds, celgo.EvalOptions(celgo.OptExhaustiveEval))...)
	return p, err
}

// isEmpty tells whether there is nothing but comments.
func isEmpty(expression string) bool {
	for line := range strings.SplitSeq(expression, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			return false
		}
	}
	return true
}

// refuseCalls refuses calls that can take any time and memory with a stranger's texts,
// and that no clock stops.
func refuseCalls(checked *celgo.Ast, where place) (err error) {
	native := checked.NativeRep()
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || err != nil {
			return
		}
		at := native.SourceInfo().GetStartLocation(e.ID())
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case "matches":
			if pattern := call.Args()[len(call.Args())-1]; pattern.Kind() != ast.LiteralKind {
				err = where.fault(at, "matches: the pattern must be written out, so that nobody else makes it")
			}
		case "replace", "join", "format":
			err = where.fault(at, name+" is not offered: it makes much of little")
		}
	}))
	return err
}

// condition is a part of the expression as it is written.
func (p *program) condition(e ast.Expr) condition {
	text, err := celgo.ExprToString(e, p.info)
	if err != nil {
		text = "the expression"
	}
	return condition{e, text, p.lineOf(e)}
}

func (p *program) lineOf(e ast.Expr) int {
	return p.first + p.info.GetStartLocation(e.ID()).Line() - 1
}

// conjuncts are the parts that && joins, from left to right.
func conjuncts(e ast.Expr, found []ast.Expr) []ast.Expr {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.LogicalAnd {
		return append(found, e)
	}
	for _, part := range e.AsCall().Args() {
		found = conjuncts(part, found)
	}
	return found
}
