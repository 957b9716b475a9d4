package plan

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
}

// environment decodes what is used, and nothing else.
func (u uses) environment(c scope) map[string]any {
	env := newEnvironment(len(u.roots))
	for _, root := range u.roots {
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
		case "item":
			env[root], _, _ = c.Item()
		case "index":
			_, env[root], _ = c.Item()
		}
	}
	return env
}

func (u uses) stepRoots(c scope) map[string]any {
	roots := make(map[string]any, len(u.steps))
	for _, id := range u.steps {
		roots[id] = any(c.Step(id))
	}
	return roots
}

// expr makes t a function of a run's state. A constant reads nothing of it.
func (t template) expr() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return t.over(c) }
}

// expr makes t a function that gives a string.
func (t text) expr() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) {
		s, err := t.evaluate(t.uses.environment(c))
		if err != nil {
			return nil, err
		}
		return appendString(nil, s), nil
	}
}

func (t template) over(c scope) (json.RawMessage, error) {
	if t.constant != nil {
		return t.constant, nil
	}
	b, err := t.render(nil, t.uses.environment(c))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// object makes t a function that must give an object, as parameters are.
func (t template) object() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return t.objectOver(c) }
}

func (t template) objectOver(c scope) (json.RawMessage, error) {
	raw, err := t.over(c)
	if err != nil {
		return nil, err
	}
	if raw[0] != '{' {
		return nil, fmt.Errorf("it gives %s, parameters are an object", describe(steps.Decode(raw)))
	}
	return raw, nil
}

// condition makes e a function that gives true or false.
func (e *expression) condition() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return e.conditionOver(c) }
}

func (e *expression) conditionOver(c scope) (json.RawMessage, error) {
	v, err := e.evaluate(e.uses.environment(c))
	if err != nil {
		return nil, err
	}
	if _, ok := v.(bool); !ok {
		return nil, e.failed(0, "gives "+describe(v)+", not true or false")
	}
	return canonical(v)
}

// list makes e a function that gives a list.
func (e *expression) list() steps.Expr {
	return func(c steps.Scope) (json.RawMessage, error) { return e.listOver(c) }
}

func (e *expression) listOver(c scope) (json.RawMessage, error) {
	v, err := e.evaluate(e.uses.environment(c))
	if err != nil {
		return nil, err
	}
	if _, ok := asList(v); !ok {
		return nil, e.failed(0, "gives "+describe(v)+", not a list")
	}
	raw, err := canonical(v)
	if err != nil {
		return nil, e.failed(0, err.Error())
	}
	return raw, nil
}
