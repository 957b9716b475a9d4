package runlog

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestSteer: who writes to an agent hears when it is read, or why nobody reads it; the same message is written once.
func TestSteer(t *testing.T) {
	t.Parallel()
	const toolsText = "tools:\n  model: {effects: none, rungs: [{static: {output: {}}}]}\n  look: {effects: none, rungs: [{static: {output: {}}}]}\n"
	tools, err := plan.ParseTools("tools.yaml", []byte(toolsText))
	if err != nil {
		t.Fatal(err)
	}
	agents := func(ids ...string) steps.Submitted {
		text := "name: p\nsteps:\n"
		for _, id := range ids {
			text += "  - {id: " + id + ", needs: [], agent: {model: model, prompt: go, tools: [look]}}\n"
		}
		text += "  - {id: last, tool: look, needs: [" + strings.Join(ids, ", ") + "]}\n"
		p, err := plan.ParsePlan("plan.yaml", []byte(text), tools)
		if err != nil {
			t.Fatal(err)
		}
		return steps.Submitted{Epoch: steps.Epoch, Document: p.JSON, Input: json.RawMessage(`{}`)}
	}
	l, _ := online(t)
	submit(t, l, "one", agents("a"))
	submit(t, l, "two", agents("a", "b"))
	submit(t, l, "none", submitted(t))
	said := func(step string) steps.Event {
		return steps.Succeeded{Attempt: steps.Attempt{Step: step, Try: 1}, Worker: "w", Output: json.RawMessage(`{"text":"done"}`)}
	}
	for _, c := range []struct {
		run   string
		event steps.Event // before it
		e     steps.Steered
		is    error
		says  string
	}{
		{run: "one", e: steps.Steered{ID: "m", Text: " be brief "}, says: "turn 1 of a is out and does not know of it; the next one reads it, if its limits allow one"},
		{run: "one", e: steps.Steered{ID: "m", Step: "a", Text: "be brief"}, says: "this message has been written before, and stands once"},
		{run: "one", e: steps.Steered{ID: "m", Step: "a", Text: "be verbose"}, is: ErrNoAgent, says: "another message has this id; give this one an id of its own"},
		{run: "one", e: steps.Steered{Text: " \n"}, is: ErrInvalid},
		{run: "one", e: steps.Steered{Text: strings.Repeat("x", MaxMessage+1)}, is: ErrInvalid},
		{run: "one", e: steps.Steered{Step: "c", Text: "x"}, is: ErrNoAgent, says: `the run has no step "c"`},
		{run: "one", e: steps.Steered{Step: "last", Text: "x"}, is: ErrNoAgent, says: "last is not an agent"},
		{run: "one", e: steps.Steered{Step: "a~t1", Text: "x"}, is: ErrNoAgent, says: "a~t1 is not an agent"},
		{run: "one", e: steps.Steered{ID: "n\xff", Text: "\xe9a\xff\xfe"}, says: "turn 1 of a is out and does not know of it; the next one reads it, if its limits allow one"},
		{run: "one", e: steps.Steered{ID: "n\xff", Text: "\xe9a\xff\xfe"}, says: "this message has been written before, and stands once"},
		{run: "two", e: steps.Steered{Text: "x"}, is: ErrInvalid},
		{run: "two", e: steps.Steered{Step: "b", Text: "x"}, says: "turn 1 of b is out and does not know of it; the next one reads it, if its limits allow one"},
		{run: "none", e: steps.Steered{Text: "x"}, is: ErrNoAgent},
		{run: "nobody", e: steps.Steered{Text: "x"}, is: ErrNoRun},
		{run: "one", event: said("a~t1"), e: steps.Steered{Text: "and kind"}, says: "turn 2 of a is out and does not know of it; the next one reads it, if its limits allow one"},
		{run: "one", e: steps.Steered{TakeBack: 3, Text: "x"}, is: ErrNoTurn, says: "turn 3 of a has not begun: it is at turn 2"},
		{run: "one", e: steps.Steered{TakeBack: -1, Text: "x"}, is: ErrInvalid},
		{run: "one", e: steps.Steered{TakeBack: 1, Text: strings.Repeat("x", MaxMessage+1)}, is: ErrInvalid},
		{run: "one", e: steps.Steered{ID: "back", TakeBack: 2, By: "mia"}, says: "turn 2 of a is taken back, without a call that has changed anything; its model is asked again once all of it is over"},
		{run: "one", e: steps.Steered{ID: "back", TakeBack: 2, By: "mia"}, says: "this message has been written before, and stands once"},
		{run: "one", e: steps.Steered{ID: "back", TakeBack: 1, By: "mia"}, is: ErrNoAgent, says: "another message has this id; give this one an id of its own"},
		{run: "one", e: steps.Steered{TakeBack: 2}, is: ErrNoTurn, says: "turn 2 of a is taken back already, by mia"},
		{run: "none", e: steps.Steered{TakeBack: 1}, is: ErrNoAgent},
		{run: "two", event: said("a~t1"), e: steps.Steered{Step: "a", Text: "x"}, is: ErrNoAgent, says: "a has ended"},
		{run: "two", event: steps.Cancelled{By: "mia"}, e: steps.Steered{Step: "b", Text: "x"}, is: ErrNoAgent, says: "the run is over, or ending"},
	} {
		if c.event != nil {
			appendAll(t, l, c.run, c.event)
		}
		w, err := l.Steer(t.Context(), c.run, c.e)
		if !errors.Is(err, c.is) || w.Text != c.says || c.is == nil && err != nil {
			t.Errorf("%s, %+v: %q, %v", c.run, c.e, w.Text, err)
		}
	}
	s, err := l.Load(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(view.Show(s).Agents[0].Turns)
	if err != nil || strings.Count(string(raw), `"be brief"`) != 1 || !strings.Contains(string(raw), `{"by":"","text":"and kind","unread":true}`) {
		t.Errorf("%s, %v", raw, err)
	}
}
