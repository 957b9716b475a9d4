package plan

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// Bounds of one expression. They keep a hostile plan from using the memory or the time of whoever compiles and
// evaluates it; expressions that people write are far below.
const (
	maxExpression = 16 << 10  // bytes of its text; also bounds how deep it can nest
	maxNodes      = 1_000     // nodes of its tree
	memoryBudget  = 1_000_000 // elements of the lists that the language makes; see budget for all else
)

// disabled are functions that read the clock, that give a random order, or whose values are no JSON.
var disabled = []string{"now", "date", "timezone", "duration", "keys", "values", "toPairs"}

// expression is one compiled expression and what it reads, so that only that is decoded when it is evaluated.
type expression struct {
	text    string
	program *vm.Program
	uses    uses
	remarks []fault // of lint, where the view has something to watch
}

// uses is what an expression or a template reads of its surroundings.
type uses struct {
	roots []string
	steps []string
}

// compileExpression checks and compiles text. The faults are all that are known at this point; with any of them there
// is no expression. A boolean one may only give true or false, as far as that can be known beforehand.
func compileExpression(text string, see view, boolean bool) (*expression, []fault) {
	if strings.TrimSpace(text) == "" {
		return nil, []fault{{message: "the expression is empty"}}
	}
	if len(text) > maxExpression {
		return nil, []fault{{message: fmt.Sprintf("the expression is longer than %d bytes", maxExpression), hint: longListHint}}
	}
	if !utf8.ValidString(text) {
		return nil, []fault{{message: "the expression is not UTF-8"}}
	}
	return compileGuarded(text, see, boolean)
}

// compileGuarded turns a panic of the expression compiler into a fault: its input is what people type.
func compileGuarded(text string, see view, boolean bool) (e *expression, faults []fault) {
	defer func() {
		if r := recover(); r != nil {
			e, faults = nil, []fault{{message: "the expression cannot be read"}}
		}
	}()
	config := configure(see)
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, []fault{languageFault(err)}
	}
	use, faults := inspect(tree.Node, see, config)
	if len(faults) > 0 {
		return nil, faults
	}
	if mistyped, ok := checkTypes(tree, config, boolean); !ok {
		return nil, []fault{mistyped}
	}
	remarks := see.watch.remarks(tree.Node) // before it is rewritten
	e, faults = finish(text, tree, config, use)
	if e != nil {
		e.remarks = remarks
	}
	return e, faults
}

// checkTypes runs before the expression is rewritten, so that its messages speak of what was written.
func checkTypes(tree *parser.Tree, config *conf.Config, boolean bool) (fault, bool) {
	if boolean {
		config.Expect, config.ExpectAny = reflect.Bool, true
	}
	_, err := checker.Check(tree, config)
	config.Expect, config.ExpectAny = reflect.Invalid, false
	if err != nil {
		return languageFault(err), false
	}
	return fault{}, true
}

func finish(text string, tree *parser.Tree, config *conf.Config, use uses) (*expression, []fault) {
	ast.Walk(&tree.Node, rewriter{})
	if _, err := checker.Check(tree, config); err != nil {
		return nil, []fault{languageFault(err)}
	}
	program, err := compiler.Compile(tree, config)
	if err != nil {
		return nil, []fault{languageFault(err)}
	}
	return &expression{text: text, program: program, uses: use}, nil
}

// configure prepares the language. Its optimizer is off: it would fold operators before they are rewritten.
func configure(see view) *conf.Config {
	config := conf.CreateNew()
	config.MaxNodes, config.Optimize = maxNodes, false
	roots := types.Map{meterName: types.Any}
	for _, root := range see.roots {
		roots[root] = types.Any
	}
	expr.Env(roots)(config)
	for _, name := range disabled {
		expr.DisableBuiltin(name)(config)
		delete(config.Builtins, name)
	}
	for name, f := range operators {
		expr.Function(name, f.metered)(config)
	}
	for name, f := range replaced {
		expr.Function(replacementName(name), f.metered)(config)
	}
	return config
}

// metered is how the language calls f: rewrite.go puts the meter in front of the arguments.
func (f function) metered(args ...any) (any, error) { return f(args[0].(*meter), args[1:]) }

// longListHint says what to do with literals that make an expression too long.
const longListHint = "put a long list into the plan's `input`, where it is data, and read it here: ${ input.items }"

// languageFault is an error of the expression compiler, in our words where its own are for programmers.
func languageFault(err error) fault {
	f := fault{message: err.Error()}
	if located, ok := errors.AsType[*file.Error](err); ok {
		f = fault{at: located.From, message: located.Message}
	}
	if got, ok := strings.CutPrefix(f.message, "expected bool, but got "); ok {
		f.message = "true or false is needed here, not " + got
	}
	if strings.Contains(f.message, "maximum allowed nodes") {
		return fault{message: fmt.Sprintf("the expression has more than %d parts", maxNodes), hint: longListHint}
	}
	f.message = strings.Replace(f.message, "unexpected token EOF", "the expression ends too early", 1)
	return f
}

// evaluate runs e; the error names the expression and the place in it.
func (e *expression) evaluate(env map[string]any) (any, error) {
	machine := vm.VM{MemoryBudget: memoryBudget}
	v, err := machine.Run(e.program, env)
	if err == nil {
		return v, nil
	}
	located, ok := errors.AsType[*file.Error](err)
	if !ok {
		return nil, e.failed(0, err.Error())
	}
	return nil, e.failed(located.From, inWords(located.Message))
}

// failed is an error of e at a character of its text.
func (e *expression) failed(at int, message string) error {
	shown := strings.TrimSpace(e.text)
	before := e.text[:strings.Index(e.text, shown)]
	at = max(at-utf8.RuneCountInString(before), 0)
	return fmt.Errorf("${ %s }, character %d: %s", shorten(shown), at+1, message)
}

// inWords turns Go's names of types into those of JSON, which is what the reader of the message knows.
func inWords(message string) string {
	if conversion, ok := strings.CutPrefix(message, "interface conversion: interface {} is "); ok {
		have, want, _ := strings.Cut(conversion, ", not ")
		return "the value here is " + typeWords.Replace(have) + ", not " + typeWords.Replace(want)
	}
	return typeWords.Replace(message)
}

var typeWords = strings.NewReplacer(
	"map[string]interface {}", "an object", "[]interface {}", "a list", "json.Number", "a number", "float64", "a number",
	"<nil>", "null", "nil", "null", "bool", "a boolean",
)

// shorten cuts s for messages.
func shorten(s string) string {
	const most = 120
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "..."
}
