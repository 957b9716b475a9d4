package engine

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"belay/internal/scriptedmodel"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestSummaries: an agent of 60 turns, whose first turns are summarised ten times. What its model and that of its summaries are
// told stays bounded, and what the run says that they took is what they have counted.
func TestSummaries(t *testing.T) {
	t.Parallel()
	const turns, keep = 60, 5
	var said []scriptedmodel.Answer
	for n := 1; n < turns; n++ {
		args := json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))
		said = append(said, scriptedmodel.Answer{Call: n, Text: fmt.Sprintf("I look at %d.", n), Calls: []scriptedmodel.Call{{Name: "look", Arguments: args}}})
	}
	big := scriptedmodel.New(scriptedmodel.Script{Answers: append(said, scriptedmodel.Answer{Text: "done"})})
	small := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Call: 1, Fault: scriptedmodel.Unavailable}, {Text: "All that was looked at is in order."}}})
	one, other := httptest.NewServer(big), httptest.NewServer(small)
	t.Cleanup(one.Close)
	t.Cleanup(other.Close)
	r := startRig(t, strings.NewReplacer("BIG", one.URL, "SMALL", other.URL).Replace(`tools:
  models.big: {effects: none, rungs: [{model: {provider: openai, model: big, base_url: "BIG/v1", price: {input: 1, output: 4}}}]}
  models.small: {effects: none, rungs: [{retry: {initial: 1ms}, model: {provider: anthropic, model: small, base_url: "SMALL", price: {input: 2, output: 8}}}]}
  look: {effects: none, input_schema: {type: object}, rungs: [{static: {output: {found: true}}}]}
`))
	doc := r.run(t, "r", `
name: long
steps: [{id: a, agent: {model: models.big, prompt: go on, tools: [look], keep_turns: 5, summary: {model: models.small}, limits: {turns: 100, calls: 100, usd: 5}}}]
`)
	a := doc.Agents[0]
	if doc.State != steps.RunSucceeded || len(a.Turns) != turns || len(a.Summaries) != turns/keep-2 {
		t.Fatalf("%s, with %d turns and %d summaries", doc.State, len(a.Turns), len(a.Summaries))
	}
	checkSummaries(t, a, keep)
	if tries := len(stepOf(doc, "a~s1").Attempts); tries != 2 {
		t.Errorf("the first summary has %d attempts", tries)
	}
	bounded(t, "the agent's model", big.Requests()[10:])
	bounded(t, "the model of its summaries", small.Requests()[2:])
	books := scriptedmodel.Books{Input: big.Books().Input + small.Books().Input, Output: big.Books().Output + small.Books().Output}
	if doc.Spent.Input != books.Input || doc.Spent.Output != books.Output || a.Used.Tokens != books.Input+books.Output {
		t.Errorf("the run says %+v and %d tokens, its models have counted %+v", doc.Spent, a.Used.Tokens, books)
	}
	if cost := a.Used.USD; cost != doc.Spent.USD || cost != steps.Dollars((float64(big.Books().Input)+4*float64(big.Books().Output)+2*float64(small.Books().Input)+8*float64(small.Books().Output))/1e6) {
		t.Errorf("%s for the agent, %s for the run", cost, doc.Spent.USD)
	}
	if n := small.Books().Calls; n != len(a.Summaries)+1 {
		t.Errorf("%d calls for %d summaries, of which one was tried twice", n, len(a.Summaries))
	}
}

// checkSummaries: each covers keep turns more than the one before it, and the model reads the last one.
func checkSummaries(t *testing.T, a view.Agent, keep int) {
	t.Helper()
	for n, m := range a.Summaries {
		if m.Upto != keep*(n+1) || m.First != keep*n+1 || m.After != keep*(n+2) || m.Text == "" || m.Read != (n == len(a.Summaries)-1) || m.Tokens == 0 || m.Cost == 0 {
			t.Errorf("summary %d is %+v", n+1, m)
		}
	}
}

func stepOf(doc view.Document, id string) view.Step {
	for _, s := range doc.Steps {
		if s.ID == id {
			return s
		}
	}
	return view.Step{}
}

// bounded: what a model is told does not grow.
func bounded(t *testing.T, who string, requests []json.RawMessage) {
	t.Helper()
	half := len(requests) / 2
	longest := func(list []json.RawMessage) (n int) {
		for _, r := range list {
			n = max(n, len(r))
		}
		return n
	}
	if early, late := longest(requests[:half]), longest(requests[half:]); late > early+50 {
		t.Errorf("%s is told up to %d bytes at first, and up to %d later", who, early, late)
	}
}
