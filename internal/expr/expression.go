package expr

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

	"belay/internal/yamldoc"
)

// Bounds of one expression. They keep a hostile plan from using the memory or the time of whoever compiles and
// evaluates it; expressions that people write are far below.
const (
	maxExpression = 16 << 10  // bytes of its text; also bounds how deep it can nest
	maxNodes      = 1_000     // nodes of its tree
	memoryBudget  = 1_000_000 // elements of the lists that the language makes; see budget for all else
)

// disabled are functions that read the clock, that give a random order, or whose values are not JSON.
var disabled = []string{"now", "date", "timezone", "duration", "keys", "values", "toPairs"}

// Expression is one compiled Expression and what it reads, so that only that is decoded when it is evaluated.
type Expression struct {
	text    string
	program *vm.Program
	Uses    Uses            // what must be decoded before it is evaluated
	Remarks []yamldoc.Fault // of lint, where the view has something to watch
}

// Uses is what an expression or a template reads of its surroundings.
type Uses struct {
	Roots []string // input, steps, params, ...
	Steps []string // ids of the steps whose outputs it reads
}

// Compile checks and compiles text. The faults are all that are known at this point; with any of them there
// is no expression. A boolean one may only give true or false, as far as that can be known beforehand.
func Compile(text string, see Readable, boolean bool) (*Expression, []yamldoc.Fault) {
	if strings.TrimSpace(text) == "" {
		return nil, []yamldoc.Fault{{Message: "the expression is empty"}}
	}
	if len(text) > maxExpression {
		return nil, []yamldoc.Fault{{Message: fmt.Sprintf("the expression is longer than %d bytes", maxExpression), Hint: LongListHint}}
	}
	if !utf8.ValidString(text) {
		return nil, []yamldoc.Fault{{Message: "the expression is not UTF-8"}}
	}
	return compileGuarded(text, see, boolean)
}

// compileGuarded turns a panic of the expression compiler into a fault: its input is what people type.
func compileGuarded(text string, see Readable, boolean bool) (e *Expression, faults []yamldoc.Fault) {
	defer func() {
		if r := recover(); r != nil {
			e, faults = nil, []yamldoc.Fault{{Message: "the expression cannot be read"}}
		}
	}()
	config := configure(see)
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, []yamldoc.Fault{languageFault(err)}
	}
	use, faults := inspect(tree.Node, see, config)
	if len(faults) > 0 {
		return nil, faults
	}
	if mistyped, ok := checkTypes(tree, config, boolean); !ok {
		return nil, []yamldoc.Fault{mistyped}
	}
	remarks := see.watch.remarks(tree.Node) // before it is rewritten
	e, faults = finish(text, tree, config, use)
	if e != nil {
		e.Remarks = remarks
	}
	return e, faults
}

// checkTypes runs before the expression is rewritten, so that its messages speak of what was written.
func checkTypes(tree *parser.Tree, config *conf.Config, boolean bool) (yamldoc.Fault, bool) {
	if boolean {
		config.Expect, config.ExpectAny = reflect.Bool, true
	}
	_, err := checker.Check(tree, config)
	config.Expect, config.ExpectAny = reflect.Invalid, false
	if err != nil {
		return languageFault(err), false
	}
	return yamldoc.Fault{}, true
}

func finish(text string, tree *parser.Tree, config *conf.Config, use Uses) (*Expression, []yamldoc.Fault) {
	ast.Walk(&tree.Node, rewriter{})
	if _, err := checker.Check(tree, config); err != nil {
		return nil, []yamldoc.Fault{languageFault(err)}
	}
	program, err := compiler.Compile(tree, config)
	if err != nil {
		return nil, []yamldoc.Fault{languageFault(err)}
	}
	return &Expression{text: text, program: program, Uses: use}, nil
}

// configure prepares the language. Its optimizer is off: it would fold operators before they are rewritten.
func configure(see Readable) *conf.Config {
	config := conf.CreateNew()
	config.MaxNodes, config.Optimize = maxNodes, false
	roots := types.Map{meterName: types.Any}
	for _, root := range see.Roots {
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

// LongListHint says what to do with literals that make an expression too long.
const LongListHint = "put a long list into the plan's `input`, where it is data, and read it here: ${ input.items }"

// languageFault is an error of the expression compiler, in our words where its own are for programmers.
func languageFault(err error) yamldoc.Fault {
	f := yamldoc.Fault{Message: err.Error()}
	if located, ok := errors.AsType[*file.Error](err); ok {
		f = yamldoc.Fault{At: located.From, Message: located.Message}
	}
	if got, ok := strings.CutPrefix(f.Message, "expected bool, but got "); ok {
		f.Message = "expected true or false, not " + got
	}
	if strings.Contains(f.Message, "maximum allowed nodes") {
		return yamldoc.Fault{Message: fmt.Sprintf("the expression has more than %d parts", maxNodes), Hint: LongListHint}
	}
	if number, ok := strings.CutPrefix(f.Message, "invalid integer literal: strconv.ParseInt: parsing "); ok {
		number, _, _ = strings.Cut(number, ":")
		f.Message = "the number " + strings.Trim(number, `"`) + " is too large to be written in an expression: at most 9223372036854775807"
	}
	f.Message = strings.Replace(f.Message, "unexpected token EOF", "the expression ends too early", 1)
	f.Message = strings.Replace(f.Message, "(type %!s(<nil>))", "(type null)", 1)
	return f
}

// evaluate runs e; the error names the expression and the place in it.
func (e *Expression) evaluate(env map[string]any) (any, error) {
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
func (e *Expression) failed(at int, message string) error {
	shown := strings.TrimSpace(e.text)
	before := e.text[:strings.Index(e.text, shown)]
	at = max(at-utf8.RuneCountInString(before), 0)
	return fmt.Errorf("${ %s }, character %d: %s", yamldoc.Shorten(shown), at+1, message)
}

// inWords turns Go's names of types into those of JSON, which is what the reader of the message knows.
func inWords(message string) string {
	if conversion, ok := strings.CutPrefix(message, "interface conversion: interface {} is "); ok {
		have, want, _ := strings.Cut(conversion, ", not ")
		return "the value here is " + typeInWords(have) + ", not " + typeInWords(want)
	}
	if words, ok := reflected[message]; ok {
		return words
	}
	if strings.HasPrefix(message, "cannot slice ") {
		return "only a list or a string has parts"
	}
	return typeWords.Replace(message)
}

// reflected are errors of package reflect that the expression language lets through.
var reflected = map[string]string{
	"reflect: call of reflect.Value.Len on zero Value":     "a list is needed here, not null",
	"reflect: call of reflect.Value.Type on zero Value":    "a number is needed here, not null",
	"reflect: call of reflect.Value.Index on map Value":    "a list is needed here, not an object",
	"cannot concat invalid":                                "a list is needed here, not null",
	"cannot reverse invalid":                               "a list is needed here, not null",
	"cannot take from invalid":                             "a list is needed here, not null",
	"cannot transform <invalid reflect.Value> from pairs":  "a list of pairs is needed here, not null",
	"reflect: call of reflect.Value.Len on bool Value":     "a list is needed here, not a boolean",
	"reflect: call of reflect.Value.Len on float64 Value":  "a list is needed here, not a number",
	"reflect: call of reflect.Value.Index on string Value": "a list is needed here, not a string",
}

// typeInWords is one type of Go in the words of JSON.
func typeInWords(name string) string {
	switch name {
	case "bool":
		return "a boolean"
	case "string", "[]uint8":
		return "a string"
	case "int":
		return "a number"
	}
	return typeWords.Replace(name)
}

// typeWords leaves out the short names: they are also words, and parts of words, of messages that are ours.
var typeWords = strings.NewReplacer(
	"map[string]interface {}", "an object", "[]interface {}", "a list", "json.Number", "a number", "float64", "a number",
	"<nil>", "null", "nil", "null",
)
