package belaytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"belay"
	"belay/belaytype"
)

// Run is a run that rests: it has ended, or waits for a person. If it is not as the test expects, its methods fail the test
// at once, and print what the run did.
type Run struct {
	// Document is the run as it is now.
	*belaytype.Document

	b  *Belay
	id string
}

// rest waits until the run rests, and asks the test's person on the way.
func (r *Run) rest() {
	r.b.t.Helper()
	ctx, cancel := r.b.context()
	defer cancel()
	for {
		doc, err := r.b.Client.Run(r.id).Rest(ctx)
		if _, ended := errors.AsType[*belay.Ended](err); err != nil && !ended {
			r.b.t.Fatalf("belaytest: %v", err)
		}
		r.Document = doc
		if doc.State != belaytype.Waiting || !r.askPerson() {
			return
		}
	}
}

// askPerson reports whether the test's person has decided something.
func (r *Run) askPerson() (decided bool) {
	r.b.t.Helper()
	r.b.mu.Lock()
	person := r.b.person
	r.b.mu.Unlock()
	if person == nil {
		return false
	}
	for _, id := range r.Escalations {
		d := r.b.dossier(id)
		if decision := person(d); decision != nil {
			r.b.decide(d, *decision)
			decided = true
		}
	}
	return decided
}

func (b *Belay) dossier(id string) *belaytype.Dossier {
	b.t.Helper()
	ctx, cancel := b.context()
	defer cancel()
	d, err := b.Escalation(ctx, id)
	if err != nil {
		b.t.Fatalf("%v", err)
	}
	return d
}

// decide fills in what a person need not type, and decides.
func (b *Belay) decide(d *belaytype.Dossier, decision belaytype.Decision) {
	b.t.Helper()
	if decision.By == "" {
		decision.By = "somebody"
	}
	if decision.Digest == "" && d.Approval != nil {
		decision.Digest = d.Approval.Digest
	}
	ctx, cancel := b.context()
	defer cancel()
	if err := b.Client.Decide(ctx, d.ID, decision); err != nil {
		b.t.Fatalf("%v", err)
	}
}

// Asks returns the one open question of the run. It fails the test unless there is exactly one.
func (r *Run) Asks() *belaytype.Dossier {
	r.b.t.Helper()
	if len(r.Escalations) != 1 {
		r.b.t.Fatalf("belaytest: %d questions are open, want one\n%s", len(r.Escalations), r)
	}
	return r.b.dossier(r.Escalations[0])
}

// Decide decides the one open question, and returns when the run rests again. By and, for an approval, Digest are filled
// in if they are empty.
func (r *Run) Decide(d belaytype.Decision) *Run {
	r.b.t.Helper()
	r.b.decide(r.Asks(), d)
	r.rest()
	return r
}

// Is fails the test unless the run is in this state.
func (r *Run) Is(want belaytype.RunState) *Run {
	r.b.t.Helper()
	if r.State != want {
		r.b.t.Fatalf("belaytest: the run is %s, want %s\n%s", r.State, want, r)
	}
	return r
}

// DegradedBy fails the test unless the step's result came from this rung, as a fallback.
func (r *Run) DegradedBy(step, rung string) *Run {
	r.b.t.Helper()
	for _, d := range r.Document.Degraded {
		if d.Step == step && d.Rung == rung {
			return r
		}
	}
	r.b.t.Fatalf("belaytest: %s is not degraded by %s\n%s", step, rung, r)
	return r
}

// Step returns a step of the run. It fails the test if there is no such step.
func (r *Run) Step(id string) *belaytype.Step {
	r.b.t.Helper()
	for i := range r.Steps {
		if r.Steps[i].ID == id {
			return &r.Steps[i]
		}
	}
	r.b.t.Fatalf("belaytest: no step %s\n%s", id, r)
	return nil
}

// Output decodes the run's output into a variable. It fails the test if it does not fit.
func (r *Run) Output(into any) *Run {
	r.b.t.Helper()
	if err := json.Unmarshal(r.Document.Output, into); err != nil {
		r.b.t.Fatalf("belaytest: the output %s does not fit %T: %v", r.Document.Output, into, err)
	}
	return r
}

// String says what the run did, with a line for each attempt and each question.
func (r *Run) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s of %s is %s %s\n", r.id, r.Workflow, r.State, r.Reason)
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %s (%s) is %s\n", s.ID, s.Tool, s.State)
		for _, a := range s.Attempts {
			fmt.Fprintf(&b, "    %s try %d %s %s\n", a.Rung, a.Try, a.State, strings.TrimSuffix(string(a.Class)+": "+a.Message, ": "))
		}
	}
	for _, q := range r.Asked {
		fmt.Fprintf(&b, "  asked %s (%s, %s): %s %s\n", q.ID, q.Kind, q.State, q.Message, q.Verb)
	}
	return b.String()
}
