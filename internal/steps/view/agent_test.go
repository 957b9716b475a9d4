package view_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestAgents tells the stories of testdata/agent: commands as in other stories, and `show`, with what people see of each
// agent below it.
func TestAgents(t *testing.T) {
	t.Parallel()
	stepstest.Stories(t, "testdata/agent/*.txt", func(st *stepstest.Story, line string) string {
		if line == "show" {
			return agents(view.Show(st.State))
		}
		if id, is := strings.CutPrefix(line, "ended "); is { // what ended a question before anybody decided
			return "  " + view.SupersededBy(st.State, st.State.FindEscalation(id)) + "\n"
		}
		if rest, is := strings.CutPrefix(line, "reply "); is { // take-back, and what the person is told
			st.Command("take-back " + rest)
			e := st.Records[len(st.Records)-1]
			w := view.Tell(st.State, view.Act{Event: e.Event, Seq: e.Seq})
			return "  " + string(w.Outcome) + ": " + w.Text + "\n"
		}
		st.Command(line)
		return ""
	})
}

func agents(d view.Document) string {
	var b strings.Builder
	for _, a := range d.Agents {
		fmt.Fprintf(&b, "  %s %s by %s: %s; %s\n", a.Step, a.State, a.Model, a.Prompt, a.Spent())
		for _, q := range a.People {
			fmt.Fprintf(&b, "    %s %s: %s %s\n", q.ID, q.State, q.Message, q.Verb)
		}
		for _, turn := range a.Turns {
			fmt.Fprintf(&b, "    %s (%s) %d tokens, %s, %s: %s\n", turn.Step, turn.Outcome(), turn.Tokens, turn.Cost, turn.Took, turn.Said)
			for _, c := range turn.Calls {
				fmt.Fprintf(&b, "      %s %s %s: %s", c.Step, c.Tool, c.Arguments, c.Outcome())
				if c.Changed != nil {
					fmt.Fprintf(&b, ", with %s", c.Changed)
				}
				fmt.Fprintf(&b, " -> %s\n", c.Result)
			}
			if turn.Wrong != "" {
				fmt.Fprintf(&b, "      wrong: %s\n", turn.Wrong)
			}
			for _, n := range turn.Notes {
				fmt.Fprintf(&b, "      %s wrote (unread %v): %s\n", n.By, n.Unread, n.Words(turn.Number))
			}
		}
		for _, m := range a.Summaries {
			fmt.Fprintf(&b, "    %s of %s, from turn %d on, after %d (%s) %d tokens, %s: %q, %s\n", m.Step, m.Covers(), m.First, m.After, m.Outcome(), m.Tokens, m.Cost, m.Text, m.Use())
		}
	}
	return b.String()
}

// TestAgentOfADossier: whoever decides about an agent sees its last turns, whatever in it is in question, and later what was
// asked then.
func TestAgentOfADossier(t *testing.T) {
	t.Parallel()
	st := stepstest.NewStory(t)
	tell := func(text string) {
		for line := range strings.Lines(text) {
			st.Command(strings.TrimSpace(line))
		}
	}
	tell(`tool model
		tool look
		tool pay effects=unsafe max=1 approval=always
		step a tool=model agent=look,pay turns=5
		submit`)
	for n := 1; n <= 4; n++ {
		tell(fmt.Sprintf(`says a~t%d 0-0-1 10 said_%d look:{"n":%d}
			ok a~t%d.1 0-0-1 1`, n, n, n, n))
	}
	tell(`says a~t5 0-0-1 10 paying pay:{"cents":5}`)
	a := view.DossierOf(st.State, 0).Agent
	if a == nil || a.Step != "a" || a.Earlier != 2 || len(a.Turns) != 3 || a.Turns[2].Calls[0].Step != "a~t5.1" || a.Prompt != "do_it" {
		t.Fatalf("%+v", a)
	}
	tell(`approve r-1 mia
		claimed a~t5.1 0-0-1 w
		ok a~t5.1 0-0-1 1`)
	if limit := view.DossierOf(st.State, 1); limit.Kind != steps.KindLimit || limit.Agent == nil || limit.Agent.Used.Turns != 5 {
		t.Fatalf("%+v", limit)
	}
	again := `{"type":"object","properties":{"turns":{"default":5,"description":"times that the model is asked","minimum":0,"type":"integer"},`
	if o := view.DossierOf(st.State, 1).Offers[0]; o.Verb != steps.VerbExtend || !strings.HasPrefix(string(o.Schema), again) || !json.Valid(o.Schema) {
		t.Errorf("it is offered %s %s", o.Verb, o.Schema)
	}
	var before *steps.State
	for _, r := range st.Records[:st.State.Escalations[0].EndedSeq-1] {
		before, _ = steps.Apply(before, r)
	}
	if then := view.EndedDossierOf(before, st.State, 0).Agent; then.Turns[2].Calls[0].State != steps.StepHeld {
		t.Errorf("it is shown %+v", then.Turns[2])
	}
}

// TestLongAgents: a document has only the beginning of what is long; the rest is the output of a step.
func TestLongAgents(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 9000)
	st := stepstest.NewStory(t)
	for _, line := range []string{"tool model", "tool look", "step a tool=model agent=look", "submit", "says a~t1 0-0-1 10 " + long + ` look:{"n":"` + long + `"}`, `ok a~t1.1 0-0-1 "` + long + `"`} {
		st.Command(line)
	}
	turn := view.Show(st.State).Agents[0].Turns[0]
	var shown string
	if err := json.Unmarshal(turn.Calls[0].Arguments, &shown); err != nil {
		t.Fatalf("arguments %.60s: %v", turn.Calls[0].Arguments, err)
	}
	for what, s := range map[string]string{"said": turn.Said, "arguments": shown, "result": turn.Calls[0].Result} {
		if n := utf8.RuneCountInString(s); n > 4000 || !strings.HasSuffix(s, "…") {
			t.Errorf("%s has %d characters: %.20s", what, n, s)
		}
	}
}
