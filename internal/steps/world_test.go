package steps

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// epoch is the time of sequence 0 in every test.
var epoch = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

// world is what a dispatcher keeps outside the core: the log, the queue, one timer, the open escalations. It publishes
// differences only, the way the real one does, so comparing it with Wants(all) proves that differences are enough.
type world struct {
	t           interface{ Fatalf(string, ...any) }
	now         time.Time
	state       *State
	log         []Record
	queue       map[string]StepMessage
	withdraw    map[string]StepMessage
	stopped     map[string]bool
	ended       map[string]bool        // attempts whose outcome is in the log
	loose       map[string]StepMessage // attempts that a worker may begin, for all that the log says
	bound       map[string]bool        // attempts that no worker can begin any more
	timer       time.Time
	escalations map[string]bool
	result      *Closed
}

func newWorld(t interface{ Fatalf(string, ...any) }) *world {
	return &world{
		t: t, now: epoch, queue: map[string]StepMessage{}, withdraw: map[string]StepMessage{}, stopped: map[string]bool{},
		ended: map[string]bool{}, loose: map[string]StepMessage{}, bound: map[string]bool{}, escalations: map[string]bool{},
	}
}

// add appends an event to the log, folds it, and publishes what is wanted because of it.
func (w *world) add(e Event) []int {
	r := Record{Seq: uint64(len(w.log) + 1), Time: w.now, Run: "r", Event: e}
	w.log = append(w.log, r)
	var touched []int
	w.state, touched = Apply(w.state, r)
	if touched == nil {
		w.t.Fatalf("touched is nil after %T: that would mean all units", e)
	}
	w.publish(touched)
	w.bind(e)
	w.checkLoose()
	return touched
}

// bind notes after which events no worker can begin an attempt any more: its outcome, its claim, its withdrawal.
func (w *world) bind(e Event) {
	var a Attempt
	switch e := e.(type) {
	case Succeeded:
		a = e.Attempt
	case Failed:
		a = e.Attempt
	case Withdrawn:
		a = e.Attempt
	case Objected:
		a = e.Attempt
	case Claimed:
		if m, ok := w.loose[AttemptName("r", e.Attempt)]; ok && m.Claimed() {
			a = e.Attempt
		}
	}
	w.bound[AttemptName("r", a)] = true
	delete(w.loose, AttemptName("r", a))
}

// checkLoose: whatever a worker may still begin is what its unit stands on, in a run that has not ended. A probe that the
// true outcome has overtaken acts on nothing.
func (w *world) checkLoose() {
	if w.state == nil || !w.state.since(2) {
		return
	}
	for name, m := range w.loose {
		i := w.state.Unit(m.Step)
		if m.RungName != VerifyRung && (i < 0 || !w.state.Units[i].is(m.Attempt) || w.state.Status().Ended()) {
			w.t.Fatalf("after %+v a worker may still begin %s, which is over", w.log[len(w.log)-1], name)
		}
	}
}

func (w *world) publish(touched []int) {
	want := Wants(w.state, touched)
	for _, i := range touched {
		w.forget(i)
	}
	for _, m := range want.Steps {
		name := AttemptName(m.Run, m.Attempt)
		if !w.bound[name] {
			w.loose[name] = m
		}
		if w.ended[name] {
			w.t.Fatalf("attempt %s is wanted although its outcome is in the log", name)
		}
		w.queue[name] = m
	}
	for _, m := range want.Withdraw {
		w.withdraw[AttemptName(m.Run, m.Attempt)] = m
	}
	for _, m := range want.Stop {
		w.stopped[AttemptName(m.Run, m.Attempt)] = true
	}
	for _, n := range want.Escalations {
		w.escalations[w.state.Escalations[n].ID] = true
	}
	for _, n := range want.Settled {
		delete(w.escalations, w.state.Escalations[n].ID)
	}
	if _, fired := w.log[len(w.log)-1].Event.(Fired); fired || w.timer.IsZero() || want.Timer.Before(w.timer) && !want.Timer.IsZero() {
		w.timer = want.Timer // a set timer is replaced only by an earlier one
	}
	w.result = want.Result
}

// forget drops what was wanted because of unit i; what is still wanted comes back at once.
func (w *world) forget(i int) {
	if i == RunUnit {
		return
	}
	id := w.state.Units[i].ID
	for name, m := range w.queue {
		if m.Step == id {
			delete(w.queue, name)
		}
	}
	for name, m := range w.withdraw {
		if m.Step == id {
			delete(w.withdraw, name)
		}
	}
}

// wanted writes down a list of wants, without the timer: a set timer may be early.
func wanted(list WantList, s *State) string {
	var b strings.Builder
	lines := []string{}
	for _, m := range list.Steps {
		lines = append(lines, "step "+AttemptName(m.Run, m.Attempt)+" "+m.Tool+"/"+m.RungName+" "+string(m.Params)+" "+m.Key)
	}
	for _, m := range list.Withdraw {
		lines = append(lines, "withdraw "+AttemptName(m.Run, m.Attempt))
	}
	for _, n := range list.Escalations {
		lines = append(lines, "escalation "+s.Escalations[n].ID)
	}
	if list.Result != nil {
		lines = append(lines, "result "+string(list.Result.State))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// have writes down what the world holds, in the words of wanted.
func (w *world) have() string {
	list := WantList{Steps: slices.Collect(maps.Values(w.queue)), Withdraw: slices.Collect(maps.Values(w.withdraw)), Result: w.result}
	for n := range w.state.Escalations {
		if w.escalations[w.state.Escalations[n].ID] {
			list.Escalations = append(list.Escalations, n)
		}
	}
	return wanted(list, w.state)
}

// refold folds the whole log anew.
func (w *world) refold() *State {
	var s *State
	for _, r := range w.log {
		s, _ = Apply(s, r)
	}
	return s
}

// picture is all that anybody can see of a state.
func picture(s *State) string {
	var views []Dossier
	for n := range s.Escalations {
		views = append(views, MakeDossier(s, n))
	}
	b, err := json.MarshalIndent([]any{Show(s), views}, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b) + wanted(Wants(s, nil), s) + Wants(s, nil).Timer.String()
}

// Small expressions for tests: json:<value>, out:<step>, state:<step>, item, fail.
func testExpr(src string) Expr {
	if src == "" {
		return nil
	}
	kind, arg, _ := strings.Cut(src, ":")
	return func(c Scope) (json.RawMessage, error) {
		switch kind {
		case "json":
			return json.RawMessage(arg), nil
		case "out":
			return json.Marshal(c.Step(arg)["output"])
		case "state":
			return json.Marshal(c.Step(arg)["state"])
		case "params":
			return json.Marshal(c.Params())
		case "output-is":
			v, err := json.Marshal(c.Output())
			return json.RawMessage(strconv.FormatBool(string(v) == arg)), err
		case "rejection":
			return json.Marshal(c.Step(arg)["rejection"])
		case "item":
			v, i, _ := c.Item()
			return json.Marshal(map[string]any{"item": v, "index": i})
		}
		return nil, fmt.Errorf("expression %q failed", src)
	}
}

// testPlan is a definition with its expressions in the small language, by step.
type testPlan struct {
	Definition
	when, with, forEach, undoWith map[string]string
	output                        string
}

func (p *testPlan) program() *Program {
	prog := &Program{Digest: "test", Definition: p.Definition, Nodes: make([]Node, len(p.Plan.Steps)), Output: testExpr(p.output)}
	for i, st := range p.Plan.Steps {
		prog.Nodes[i] = Node{
			When: testExpr(p.when[st.ID]), With: testExpr(p.with[st.ID]), ForEach: testExpr(p.forEach[st.ID]),
			CompensateWith: testExpr(p.undoWith[st.ID]),
		}
	}
	prog.Asks = map[string]Asks{}
	for name, t := range p.Tools {
		prog.Asks[name] = asksOf(t)
	}
	return Link(prog)
}

// objection is what a worker says whose tools file has t.
func objection(a Attempt, worker string, t Tool) Objected {
	p := t.Policy()
	asks := asksOf(t)
	return Objected{Attempt: a, Worker: worker, Policy: p, Asks: &asks}
}

func asksOf(t Tool) Asks {
	asks := Asks{}
	if t.Approval != nil {
		asks.Approval = testExpr(t.Approval.When)
	}
	if t.Verify != nil {
		asks.Happened = testExpr(t.Verify.Happened)
	}
	return asks
}

func TestApplyIgnoresWhatBelongsToNoRun(t *testing.T) {
	s, touched := Apply(nil, Record{Seq: 1, Event: Fired{}})
	if s != nil || touched == nil || len(touched) != 0 {
		t.Fatalf("got %v, %v", s, touched)
	}
}
