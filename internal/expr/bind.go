package expr

import (
	"encoding/json"
	"fmt"

	"belay/internal/steps"
)

// scope is what an expression of a plan may read; steps.Scope is one.
type scope interface {
	Input() any
	Step(id string) map[string]any
	Item() (value any, index int, ok bool)
	Run() map[string]any
	Params() any
	Output() any
	Untrusted() bool
}

// environment decodes what is used, and nothing else.
func (u Uses) environment(c scope) map[string]any {
	env := newEnvironment(len(u.Roots))
	for _, root := range u.Roots {
		switch root {
		case "input":
			env[root] = c.Input()
		case "run":
			env[root] = c.Run()
		case "steps":
			env[root] = u.stepRoots(c)
		case "params":
			env[root] = c.Params()
		case "output":
			env[root] = c.Output()
		case "untrusted":
			env[root] = c.Untrusted()
		case "item":
			env[root], _, _ = c.Item()
		case "index":
			_, env[root], _ = c.Item()
		}
	}
	return env
}

func (u Uses) stepRoots(c scope) map[string]any {
	roots := make(map[string]any, len(u.Steps))
	for _, id := range u.Steps {
		roots[id] = any(c.Step(id))
	}
	return roots
}

// Expr makes t a function of a run's state. A constant reads nothing of it.
func (t Template) Expr() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return t.over(c) }
}

// Expr makes t a function that gives a string.
func (t Text) Expr() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) {
		s, err := t.evaluate(t.uses.environment(c))
		if err != nil {
			return nil, err
		}
		return AppendString(nil, s), nil
	}
}

func (t Template) over(c scope) (json.RawMessage, error) {
	if t.Constant != nil {
		return t.Constant, nil
	}
	b, err := t.render(nil, t.uses.environment(c))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Object makes t a function that must give an object, as parameters are.
func (t Template) Object() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return t.objectOver(c) }
}

func (t Template) objectOver(c scope) (json.RawMessage, error) {
	raw, err := t.over(c)
	if err != nil {
		return nil, err
	}
	if raw[0] != '{' {
		return nil, fmt.Errorf("it gives %s, but parameters must be an object", Describe(steps.Decode(raw)))
	}
	return raw, nil
}

// Condition makes e a function that gives true or false.
func (e *Expression) Condition() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return e.conditionOver(c) }
}

func (e *Expression) conditionOver(c scope) (json.RawMessage, error) {
	v, err := e.evaluate(e.Uses.environment(c))
	if err != nil {
		return nil, err
	}
	if _, ok := v.(bool); !ok {
		return nil, e.failed(0, "gives "+Describe(v)+", not true or false")
	}
	return Canonical(v)
}

// List makes e a function that gives a list.
func (e *Expression) List() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return e.listOver(c) }
}

func (e *Expression) listOver(c scope) (json.RawMessage, error) {
	v, err := e.evaluate(e.Uses.environment(c))
	if err != nil {
		return nil, err
	}
	if _, ok := asList(v); !ok {
		return nil, e.failed(0, "gives "+Describe(v)+", not a list")
	}
	raw, err := Canonical(v)
	if err != nil {
		return nil, e.failed(0, err.Error())
	}
	return raw, nil
}

// Reshape evaluates t over the parameters of a call and what came back.
func (t Template) Reshape(params, output json.RawMessage) (json.RawMessage, error) {
	if t.Constant != nil {
		return t.Constant, nil
	}
	env := withParams(steps.Decode(params))
	env["output"] = steps.Decode(output)
	return t.render(nil, env)
}

// Sentence gives the pieces of t for the parameters of a call.
func (t Text) Sentence(params any) ([]steps.Piece, error) {
	env := withParams(params)
	pieces := make([]steps.Piece, len(t.parts))
	for i, part := range t.parts {
		s, err := part.evaluate(env)
		if err != nil {
			return nil, err
		}
		pieces[i] = steps.Piece{Text: s, Value: part.expr != nil}
	}
	return pieces, nil
}

func withParams(params any) map[string]any {
	env := newEnvironment(1)
	env["params"] = params
	return env
}

// CompileBare compiles an expression that may be written with or without `${ ... }` around it. The error is the first fault.
func CompileBare(written string, see Readable, boolean bool) (*Expression, error) {
	source, at := Bare(written)
	e, faults := Compile(source, see, boolean)
	if len(faults) > 0 {
		return nil, Placed{Fault: faults[0].Shifted(at)}
	}
	return e, nil
}

// CompileJSON compiles every `${ ... }` in the strings of a JSON value. The error is the first fault, with its path.
func CompileJSON(raw json.RawMessage, see Readable) (Template, error) {
	t, faults := CompileTemplate(steps.Decode(raw), "", see)
	if len(faults) > 0 {
		return t, faults[0]
	}
	return t, nil
}

// OfCall evaluates e where of a call only the parameters are known, and whether they are made from what is untrusted.
func (e *Expression) OfCall(params any, untrusted bool) (any, error) {
	env := withParams(params)
	env["untrusted"] = untrusted
	return e.evaluate(env)
}

// Of evaluates e where only the parameters of a call are known.
func (e *Expression) Of(params any) (any, error) { return e.evaluate(withParams(params)) }

// Of evaluates t where only the parameters of a call are known.
func (t Text) Of(params any) (string, error) { return t.evaluate(withParams(params)) }

// Of evaluates t where only the parameters of a call are known.
func (t Template) Of(params any) (json.RawMessage, error) {
	if t.Constant != nil {
		return t.Constant, nil
	}
	return t.render(nil, withParams(params))
}
