// Package belaytest is Belay for the tests of programs that use it: a store, a dispatcher and a worker in the test's own
// process, with tools that return what the test says.
//
//	func TestRefundsAskAPerson(t *testing.T) {
//		b := belaytest.Start(t, belaytest.Options{Tools: "tools.yaml"})
//		b.Tool("orders.lookup").Fail(belay.TryAgain(errBusy)).Return(Order{Paid: true}) // fails once, then answers
//		b.Tool("payments.refund").Return(Refund{ID: "R-1"})
//
//		run := b.Run("refund.yaml", Input{Order: "A-1009", Amount: 120})
//		run.Is(belaytype.Waiting)
//		run.Decide(belaytype.Decision{Verb: belaytype.Approve, By: "mia"})
//		run.Is(belaytype.Succeeded)
//	}
//
// The test says what tools do and what people decide. Everything else is as in production: the same core, the same log,
// the same worker. Only the waits before retries are short. Each [Belay] has a store of its own, so tests can run in
// parallel; the end of the test stops it.
package belaytest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"belay"
	"belay/belaytype"
	"belay/internal/inprocess"
	"belay/internal/plan"
)

// Options say which tools there are.
type Options struct {
	Tools    string          // path of the tools file
	Text     string          // text of one, in place of Tools
	Handlers []belay.Handler // for the tools of which the test says nothing
	// Patience is how long the test waits for a run to end or to need a person before it fails; default 30 s.
	Patience time.Duration
}

// Belay is everything that runs need, for one test.
type Belay struct {
	*belay.Client
	// Tools is the tools file with short waits, for [belay.ParsePlan].
	Tools *belay.Tools

	t        testing.TB
	patience time.Duration
	scripts  *scripts

	mu     sync.Mutex
	person func(*belaytype.Dossier) *belaytype.Decision
}

// Start starts everything, and fails the test if it cannot. The end of the test stops it.
func Start(t testing.TB, o Options) *Belay {
	t.Helper()
	name, text := o.Tools, []byte(o.Text)
	if name == "" {
		name = "tools.yaml"
	} else {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			t.Fatalf("belaytest: %v", err)
		}
	}
	tools, err := belay.ParseTools(name, text)
	if err != nil {
		t.Fatalf("belaytest: %v", err)
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	b := &Belay{Tools: tools.WithoutWaits(), t: t, patience: o.Patience, scripts: newScripts(o.Handlers)}
	inside, err := plan.ParseTools(name, text)
	if err != nil {
		t.Fatalf("belaytest: %v", err)
	}
	handlers := b.scripts.serve(inside)
	b.Client, err = inprocess.Open(t.Context(), t.TempDir(), inprocess.Options{Tools: inside, Handlers: handlers, Interval: true})
	if err != nil {
		t.Fatalf("belaytest: %v", err)
	}
	t.Cleanup(func() {
		b.Close()
		for _, problem := range b.scripts.problems() {
			t.Errorf("belaytest: %s", problem)
		}
	})
	return b
}

// Person makes f decide every escalation that opens while the test waits for a run, in place of [Run.Decide]. f returns nil
// to leave one open. By and, for an approval, Digest are filled in if they are empty.
func (b *Belay) Person(f func(d *belaytype.Dossier) *belaytype.Decision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.person = f
}

// Run submits the plan in a file, and returns when its run rests: when it has ended, or only a person can move it on.
func (b *Belay) Run(path string, input any) *Run {
	b.t.Helper()
	p, err := belay.LoadPlan(path, b.Tools)
	if err != nil {
		b.t.Fatalf("belaytest: %v", err)
	}
	return b.Submitted(p, belay.Submission{Input: input})
}

// RunText is Run for the text of a plan.
func (b *Belay) RunText(text string, input any) *Run {
	b.t.Helper()
	p, err := belay.ParsePlan("plan.yaml", []byte(text), b.Tools)
	if err != nil {
		b.t.Fatalf("belaytest: %v", err)
	}
	return b.Submitted(p, belay.Submission{Input: input})
}

// Submitted submits a plan and returns when its run rests.
func (b *Belay) Submitted(p *belay.Plan, s belay.Submission) *Run {
	b.t.Helper()
	run, err := b.Submit(b.t.Context(), p, s)
	if err != nil {
		b.t.Fatalf("%v", err)
	}
	return b.Follow(run.ID())
}

// Follow returns when a run rests that was submitted elsewhere, for example by the code under test.
func (b *Belay) Follow(id string) *Run {
	b.t.Helper()
	r := &Run{b: b, id: id}
	r.rest()
	return r
}

// context is for one wait of the test.
func (b *Belay) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.t.Context(), b.patience)
}
