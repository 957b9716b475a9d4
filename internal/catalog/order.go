package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"belay/internal/plan"
	"belay/internal/prove"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// Order is what somebody wants started: a plan by its name, a whole one, or one call of a tool.
type Order struct {
	Plan   string                     // name of a plan of the catalog; empty = Whole or Tool
	Tool   string                     // name of a tool that is to be called with Params; empty = Whole
	Params json.RawMessage            // an object; nothing or null is {}
	Whole  json.RawMessage            // a plan as JSON
	At     Place                      // where Whole stands in what the caller sent
	Input  map[string]json.RawMessage // over the plan's defaults
	Labels map[string]string          // over the plan's own
	Begin  string                     // when the run begins, as a time; empty = see In
	In     string                     // without Begin: in how long; empty = at once
	Strict bool                       // refuse a plan for warnings of `dispatcher prove` too
}

// Place is a place in a text; line and column count from 1.
type Place struct{ Line, Col int }

// Mistake is one mistake of a plan or of an input.
type Mistake struct {
	Line    int    `json:"line,omitempty"`   // in what the caller sent, from 1; 0: the place is not known
	Column  int    `json:"column,omitempty"` // in characters, from 1
	Path    string `json:"path,omitempty"`   // RFC 6901 pointer to the value; of a plan, in the plan
	Message string `json:"message"`          // what is wrong
	Hint    string `json:"hint,omitempty"`   // what to do instead
}

// InvalidPlan is every mistake of a plan.
type InvalidPlan []Mistake

func (e InvalidPlan) Error() string { return counted("the plan has", e) }

// Findings is all that `dispatcher prove` finds about a plan whose order is strict.
type Findings []Mistake

func (e Findings) Error() string {
	if len(e) == 1 {
		return "strict refuses warnings too: " + e[0].Message
	}
	return fmt.Sprintf("strict refuses warnings too, and there are %d findings", len(e))
}

// InvalidInput is every mistake of an input.
type InvalidInput []Mistake

func (e InvalidInput) Error() string { return counted("the input has", e) }

// InvalidStart is what is wrong with when a run is to begin.
type InvalidStart plan.StartError

func (e InvalidStart) Error() string { return e.Text }

func counted(what string, list []Mistake) string {
	if len(list) == 1 {
		return what + " a mistake: " + list[0].Message
	}
	return fmt.Sprintf("%s %d mistakes", what, len(list))
}

// Unknown is the error for a name that no plan or tool has.
type Unknown struct {
	Kind string // plan or tool
	Name string
	Hint string // names that there are
}

func (e *Unknown) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("the server has no %s at all; it was started without --%ss", e.Kind, e.Kind)
	}
	return fmt.Sprintf("the server has no %s %q (%s)", e.Kind, e.Name, e.Hint)
}

// Prepare makes of an order what a run begins with; who submits it is left to fill in. The errors are [*Unknown],
// [InvalidPlan], [Findings], [InvalidInput] and [InvalidStart].
func (c *Catalog) Prepare(o Order) (steps.Submitted, error) {
	now := c.now.Load()
	o.Strict = o.Strict || c.Strict
	if o.Tool != "" {
		if err := now.asCall(&o); err != nil {
			return steps.Submitted{}, err
		}
	}
	doc, err := now.document(o)
	if err != nil {
		return steps.Submitted{}, err
	}
	input, err := doc.CheckInput(o.Input)
	if err != nil {
		return steps.Submitted{}, inputMistakes(err)
	}
	at, in, err := plan.ParseStart(o.Begin, o.In)
	if start, ok := errors.AsType[*plan.StartError](err); ok {
		return steps.Submitted{}, InvalidStart(*start)
	}
	labels := maps.Clone(doc.Definition.Plan.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, o.Labels)
	return steps.Submitted{Document: doc.JSON, Input: input, Labels: labels, ToolsFile: now.file, At: at, In: in}, nil
}

// Document is the plan of an order that is no call, and the tools file that it was made with. The errors are those of
// [Catalog.Prepare].
func (c *Catalog) Document(o Order) (doc *plan.Document, tools string, err error) {
	now := c.now.Load()
	o.Strict = o.Strict || c.Strict
	doc, err = now.document(o)
	return doc, now.file, err
}

func (c *content) document(o Order) (*plan.Document, error) {
	doc, err := c.plan(o)
	if err == nil {
		err = c.proved(doc, o)
	}
	return doc, err
}

func (c *content) plan(o Order) (*plan.Document, error) {
	if o.Plan == "" {
		return c.whole(o)
	}
	if doc := c.plans[o.Plan]; doc != nil {
		return doc, nil
	}
	var names []string
	for name := range c.plans {
		names = append(names, name)
	}
	return nil, &Unknown{"plan", o.Plan, yamldoc.OneOf(o.Plan, names)}
}

// wholePlan is what a plan that a caller brings is called in messages.
const wholePlan = "the plan"

// whole reads a plan that a caller brings.
func (c *content) whole(o Order) (*plan.Document, error) {
	data := append(o.At.before(), withoutPairs(o.Whole)...)
	doc, err := plan.ParsePlan(wholePlan, data, c.tools)
	if err == nil {
		return doc, nil
	}
	problems, ok := errors.AsType[yamldoc.Problems](err)
	if !ok {
		return nil, err
	}
	return nil, c.mistakes(problems, data)
}

// mistakes are the problems of a plan that a caller brings, with their places in what it sent.
func (c *content) mistakes(problems yamldoc.Problems, data []byte) InvalidPlan {
	paths := pathsOf(data)
	list := make(InvalidPlan, len(problems))
	for i, p := range problems {
		list[i] = Mistake{Message: strings.ReplaceAll(p.Message, c.tools.File, "the server's tools file"), Hint: p.Hint}
		if p.Line > 0 && p.File == wholePlan {
			list[i].Line, list[i].Column, list[i].Path = p.Line, p.Col, paths.at(p.Line, p.Col)
		}
	}
	return list
}

// proved refuses a plan that breaks an invariant, wherever it comes from. What is only a warning passes, unless the order is
// strict.
func (c *content) proved(doc *plan.Document, o Order) error {
	report := prove.Check(doc, c.tools, time.Now())
	found := report.Refusals()
	if o.Strict {
		found = report.Problems()
	}
	if len(found) == 0 {
		return nil
	}
	list := c.mistakes(found, append(o.At.before(), withoutPairs(o.Whole)...))
	if o.Tool != "" {
		for i := range list { // whoever calls a tool has sent no plan
			list[i].Line, list[i].Column, list[i].Path = 0, 0, ""
		}
	}
	if o.Strict {
		return Findings(list)
	}
	return list
}

// before is white space up to p, so that what stands behind it has the places that the caller knows.
func (p Place) before() []byte {
	return append(bytes.Repeat([]byte("\n"), max(p.Line-1, 0)), bytes.Repeat([]byte(" "), max(p.Col-1, 0))...)
}

var pair = regexp.MustCompile(`\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|.)`)

// withoutPairs writes characters as they are that JSON has as two escapes, which YAML does not know.
func withoutPairs(data []byte) []byte {
	return pair.ReplaceAllFunc(data, func(escape []byte) []byte {
		var s string
		if len(escape) <= 2 || json.Unmarshal(fmt.Appendf(nil, `"%s"`, escape), &s) != nil {
			return escape
		}
		return []byte(s)
	})
}

// named finds the input that a mistake is about.
var named = regexp.MustCompile(`^input "([^"\\]*)": `)

func inputMistakes(err error) error {
	all := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the list itself, not one in its chain
		all = many.Unwrap()
	}
	list := make(InvalidInput, len(all))
	for i, e := range all {
		list[i].Message = e.Error()
		if m := named.FindStringSubmatch(list[i].Message); m != nil {
			list[i].Path = "/" + pointed(m[1])
		}
	}
	return list
}
