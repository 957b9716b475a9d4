package plan

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

//go:embed schema/plan.schema.json
var planSchema []byte

//go:embed schema/tools.schema.json
var toolsSchema []byte

// Schema gives the JSON Schema (draft-07) of a kind of document, "plan" or "tools", for editors. It says what may be
// written; [ParsePlan] and [ParseTools] check more than a schema can say.
func Schema(kind string) ([]byte, error) {
	switch kind {
	case "plan":
		return slices.Clone(planSchema), nil
	case "tools":
		return slices.Clone(toolsSchema), nil
	}
	return nil, fmt.Errorf("no schema for %q: there is one for plan, tools and settings", kind)
}

// check tests a JSON value against a schema. Nil means that there is no schema.
type check = func(json.RawMessage) error

// CompileSchema compiles a JSON Schema (2020-12 unless it names another draft) into a function that tests values and
// reports all that is wrong with one, a line each. References to other documents are refused: a check must not depend
// on the network. Nothing, or an empty schema, gives nil.
func CompileSchema(raw json.RawMessage) (func(json.RawMessage) error, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	schema, err := compileSchema(raw)
	if err != nil {
		return nil, fmt.Errorf("the schema is not valid: %w", flattened(err))
	}
	return func(value json.RawMessage) error { return validate(schema, value) }, nil
}

func compileSchema(raw json.RawMessage) (*jsonschema.Schema, error) {
	doc, err := decodeBounded(raw)
	if err != nil {
		return nil, err
	}
	const name = "belay:schema"
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	schema, err := c.Compile(name)
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		return nil, invalid.Err
	}
	return schema, err
}

type noLoader struct{}

// Load implements jsonschema.URLLoader.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("a schema cannot refer to another document (%s)", url)
}

func validate(schema *jsonschema.Schema, value json.RawMessage) error {
	v, err := decodeBounded(value)
	if err != nil {
		return err
	}
	return flattened(schema.Validate(v))
}

// flattened makes one line of each thing that is wrong.
func flattened(err error) error {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	var lines []error
	for _, f := range leaves(invalid) {
		lines = append(lines, errors.New(f.String()))
	}
	return errors.Join(lines...)
}

// decodeExact reads one JSON value with its numbers as they are written.
func decodeExact(raw json.RawMessage) (any, error) {
	if err := steps.CheckDepth(raw); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("not JSON: more than one value")
	}
	return v, nil
}

// decodeBounded reads JSON for the schema library, which writes numbers out in full length to compare them. One that
// would take gigabytes is represented by one that is as good as that: far beyond any limit, or next to nothing.
func decodeBounded(raw json.RawMessage) (any, error) {
	v, err := decodeExact(raw)
	return boundNumbers(v), err
}

func boundNumbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		return boundNumber(x)
	case []any:
		for i, e := range x {
			x[i] = boundNumbers(e)
		}
	case map[string]any:
		for k, e := range x {
			x[k] = boundNumbers(e)
		}
	}
	return v
}

// Bounds of the numbers that the schema library gets.
const (
	maxDigits   = 1_000
	maxExponent = 1_000
)

func boundNumber(n json.Number) json.Number {
	mantissa, exponent := string(n), 0
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		var err error
		exponent, err = strconv.Atoi(mantissa[i+1:])
		if mantissa = mantissa[:i]; err != nil && n[i+1] == '-' {
			exponent = -maxExponent
		} else if err != nil {
			exponent = maxExponent
		}
	}
	if len(mantissa) <= maxDigits && exponent >= -maxExponent && exponent <= maxExponent {
		return n
	}
	if len(mantissa) > maxDigits {
		whole := strings.IndexByte(mantissa+".", '.')
		exponent += max(0, whole-maxDigits) // of the digits that are left out
		mantissa = strings.TrimSuffix(mantissa[:maxDigits], ".")
	}
	exponent = max(-maxExponent, min(exponent, maxExponent))
	return json.Number(mantissa + "e" + strconv.Itoa(exponent))
}

// finding is one thing that is wrong with a value.
type finding struct {
	path    []string // of the value, from the root
	message string
	hint    string // a word of a closed set that is near to the one that is there
}

func (f finding) String() string {
	if len(f.path) == 0 {
		return f.message
	}
	return strings.Join(f.path, ".") + ": " + f.message
}

// leaves are the innermost causes of a failed validation, in a stable order.
func leaves(e *jsonschema.ValidationError) []finding {
	found := appendLeaves(nil, e)
	slices.SortStableFunc(found, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(found, func(a, b finding) bool { return a.String() == b.String() })
}

func appendLeaves(found []finding, e *jsonschema.ValidationError) []finding {
	for _, cause := range e.Causes {
		found = appendLeaves(found, cause)
	}
	if len(e.Causes) > 0 {
		return found
	}
	message := e.Error()
	if unit := e.BasicOutput(); unit.Error != nil {
		message = unit.Error.String()
	}
	return append(found, finding{path: e.InstanceLocation, message: message, hint: nearestWord(e.ErrorKind)})
}

// nearestWord is the hint for a word that is not among those that are allowed.
func nearestWord(k jsonschema.ErrorKind) string {
	enum, _ := k.(*kind.Enum)
	if enum == nil {
		return ""
	}
	got, _ := enum.Got.(string)
	var words []string
	for _, v := range enum.Want {
		if w, is := v.(string); is {
			words = append(words, w)
		}
	}
	return yamldoc.DidYouMean(got, words)
}

// meant leaves out of what is wrong with a schema the forms of a keyword that have another type than what is written, where
// there is one that has its type: `type: objct` is a word with a mistake, and not a list of words that is missing.
func meant(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	causes := make([]*jsonschema.ValidationError, len(e.Causes))
	for i, c := range e.Causes {
		causes[i] = meant(c)
	}
	if _, either := e.ErrorKind.(*kind.AnyOf); either {
		otherType := func(c *jsonschema.ValidationError) bool { return isOtherType(c, len(e.InstanceLocation)) }
		if i := slices.IndexFunc(causes, func(c *jsonschema.ValidationError) bool { return !otherType(c) }); i >= 0 {
			causes = slices.DeleteFunc(causes, otherType)
		}
	}
	made := *e
	made.Causes = causes
	return &made
}

// isOtherType reports whether all that is wrong with the value itself, depth names down, is its type.
func isOtherType(e *jsonschema.ValidationError, depth int) bool {
	if len(e.Causes) == 0 {
		_, is := e.ErrorKind.(*kind.Type)
		return is && len(e.InstanceLocation) == depth
	}
	return !slices.ContainsFunc(e.Causes, func(c *jsonschema.ValidationError) bool { return !isOtherType(c, depth) })
}

// schema reads a JSON Schema and reports what is wrong with it at its own place.
func (r *reader) schema(n *yaml.Node, into *json.RawMessage) check {
	before := len(r.Problems)
	r.json(into)(n)
	if len(r.Problems) > before || *into == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.At(n, "", "a schema must be a mapping, not %s", yamldoc.KindOf(n))
		return nil
	}
	*into = asWritten(n, *into)
	compiled, err := compileSchema(*into)
	if err == nil {
		return func(value json.RawMessage) error { return validate(compiled, value) }
	}
	if e, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		for _, f := range leaves(meant(e)) {
			r.At(nodeAt(n, f.path), f.hint, "the schema is not valid: %s", f.message)
		}
		return nil
	}
	r.At(n, "", "the schema is not valid: %v", err)
	return nil
}

// nodeAt follows a path into n as far as it goes.
func nodeAt(n *yaml.Node, path []string) *yaml.Node {
	for _, key := range path {
		next := yamldoc.ValueOf(n, key)
		if i, err := strconv.Atoi(key); err == nil && n.Kind == yaml.SequenceNode && i >= 0 && i < len(n.Content) {
			next = yamldoc.Resolve(n.Content[i])
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// ofObjects reports whether a schema says that what it describes is an object, as providers of models want to read it.
func ofObjects(schema json.RawMessage) bool {
	s, _ := steps.Decode(schema).(map[string]any)
	return s["type"] == "object"
}
