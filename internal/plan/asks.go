package plan

import (
	"encoding/json"
	"fmt"

	"belay/internal/expr"
	"belay/internal/steps"
)

// compileAsks compiles what a run's tools ask about their calls.
func compileAsks(p *steps.Program) error {
	p.Asks = map[string]steps.Asks{}
	for name, t := range p.Tools {
		asks, err := compileAsk(&t)
		if err != nil {
			return fmt.Errorf("tool %q: %w", name, err)
		}
		if asks != nil {
			p.Asks[name] = *asks
		}
	}
	return nil
}

// CompilePolicy compiles what a worker's policy asks about calls of its tool.
func CompilePolicy(p steps.ToolPolicy) (*steps.Asks, error) {
	if p.Verify != nil && p.Verify.Name != steps.VerifyRung {
		return nil, fmt.Errorf("its probe is called %q", p.Verify.Name)
	}
	asks, err := compileAsk(&steps.Tool{Approval: p.Approval, Verify: p.Verify})
	if asks == nil && err == nil {
		asks = &steps.Asks{}
	}
	return asks, err
}

// compileAsk gives nil for a tool that asks nothing.
func compileAsk(t *steps.Tool) (*steps.Asks, error) {
	asks := &steps.Asks{Targets: compileTargets(t.Rungs)}
	some := t.Approval != nil || t.Verify != nil || asks.Targets != nil
	var err error
	if t.Limits != nil && t.Limits.Per != "" && t.Limits.Per != steps.PerTarget {
		source, _ := expr.Bare(t.Limits.Per)
		e, err := expr.CompileJSON(quoted("${ "+source+" }"), inTools)
		if err != nil {
			return nil, fmt.Errorf("limits: per: %w", err)
		}
		asks.Per, some = e.Expr(), true
	}
	if t.Approval != nil && t.Approval.When != "" {
		if asks.Approval, err = compileCondition(t.Approval.When, inApproval); err != nil {
			return nil, fmt.Errorf("approval: %w", err)
		}
	}
	if t.Verify != nil {
		if err := compileVerify(asks, t.Verify); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	for k, r := range t.Rungs {
		if (r.Human != nil) != (r.Executor == "human") {
			return nil, fmt.Errorf("rung %q: its executor is %q, and what it asks a person does not fit that", r.Name, r.Executor)
		}
		if r.Human == nil {
			continue
		}
		q, err := expr.CompileJSON(quoted(r.Human.Question), inTools)
		if err != nil {
			return nil, fmt.Errorf("rung %q: question: %w", r.Name, err)
		}
		if asks.Questions == nil {
			asks.Questions = map[int]steps.Expr{}
		}
		asks.Questions[k], some = q.Expr(), true
	}
	if !some {
		return nil, nil
	}
	return asks, nil
}

func compileCondition(written string, see expr.Readable) (steps.Expr, error) {
	e, err := expr.CompileBare(written, see, true)
	if err != nil {
		return nil, err
	}
	return e.Condition(), nil
}

func compileVerify(asks *steps.Asks, v *steps.Verify) (err error) {
	asks.Probes = compileTarget(&v.Rung)
	if asks.Happened, err = compileCondition(v.Happened, inProbe); err != nil {
		return fmt.Errorf("happened: %w", err)
	}
	if len(v.Output) == 0 {
		return nil
	}
	t, err := expr.CompileJSON(v.Output, inProbe)
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	asks.Verified = t.Expr()
	return nil
}

func quoted(s string) json.RawMessage {
	raw, err := expr.Canonical(s)
	if err != nil {
		panic("plan: a string cannot be written: " + err.Error())
	}
	return raw
}
