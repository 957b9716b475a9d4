package steps

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the stories anew; review the difference")

// TestStories runs every story in testdata. A story is commands and, indented below each, what came of it: units that
// moved, what is wanted now. The first lines say what the tools and the plan are; see story.command for the words.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runStory(t, f) })
	}
}

func runStory(t *testing.T, file string) {
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	st := newStory(t)
	var out bytes.Buffer
	for line := range strings.Lines(string(old)) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line)
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			st.command(line)
			out.WriteString(st.trace())
		}
	}
	st.check()
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(old) {
		t.Errorf("the story goes differently now (run with -update and review):\n%s", out.String())
	}
}

func newStory(t *testing.T) *story {
	st := &story{t: t, world: newWorld(t), plan: &testPlan{
		when: map[string]string{}, with: map[string]string{}, forEach: map[string]string{}, undoWith: map[string]string{},
	}}
	st.plan.Plan.Name = "story"
	st.plan.Tools = map[string]Tool{}
	return st
}

type story struct {
	t *testing.T
	*world
	plan  *testPlan
	seen  string
	epoch int
	lines map[string]string
}

// command does one line: `tool NAME k=v...`, `plan k=v...`, `step ID k=v...`, `output EXPR`, `submit [EPOCH]`, and then
// `[+<duration>] <event> ...`, where +<duration> moves the clock and fires the timer when it is due.
func (st *story) command(line string) {
	w := strings.Fields(line)
	switch w[0] {
	case "tool":
		st.plan.Tools[w[1]] = parseTool(w[1], options(w[2:]))
		return
	case "plan":
		st.planOptions(options(w[1:]))
		return
	case "step":
		st.step(w[1], options(w[2:]))
		return
	case "output":
		st.plan.output = w[1]
		return
	case "submit": // `submit` under the newest rules, `submit 1` under older ones
		st.epoch = Epoch
		if len(w) > 1 {
			st.epoch, _ = strconv.Atoi(w[1])
		}
		st.add(Submitted{Epoch: st.epoch, Program: st.plan.program(), Input: json.RawMessage(`{}`), By: "sue"})
		return
	}
	if d, ok := strings.CutPrefix(w[0], "+"); ok {
		st.pass(mustDuration(d))
		w = w[1:]
	}
	if len(w) > 0 {
		st.event(w)
	}
}

// pass lets time pass, the timer firing on its way.
func (st *story) pass(d time.Duration) {
	end := st.now.Add(d)
	for !st.timer.IsZero() && !st.timer.After(end) {
		st.now = st.timer
		st.timer = time.Time{}
		st.add(Fired{})
	}
	st.now = end
}

func (st *story) event(w []string) {
	at := func(n int) string {
		if n < len(w) {
			return w[n]
		}
		return ""
	}
	a, ok := ParseAttempt(at(1), at(2))
	switch w[0] {
	case "started":
		st.add(Started{Attempt: a, Worker: at(3), Delivery: at(4)})
	case "objected": // objected STEP ATTEMPT WORKER k=v...: what its tools file says of the tool
		t := parseTool("t", options(w[4:]))
		st.add(objection(a, at(3), t))
	case "unheard": // the first one that the log hears of, behind another
		st.add(Started{Attempt: a, Worker: at(3), Delivery: at(4), Unheard: true})
	case "claimed":
		st.add(Claimed{Attempt: a, Worker: at(3)})
	case "ok":
		st.add(Succeeded{Attempt: a, Worker: "w", Output: json.RawMessage(at(3))})
	case "fail":
		f := Fault{Class: Class(at(3)), Acted: Acted(at(4)), Message: "it failed"}
		if at(5) != "" {
			f.RetryAfter = Duration(mustDuration(at(5)))
		}
		st.add(Failed{Attempt: a, Worker: "w", Fault: f})
	case "final": // a fault that the same call would bring again
		st.add(Failed{Attempt: a, Worker: "w", Fault: Fault{Class: Class(at(3)), Acted: Acted(at(4)), Message: "it failed", Final: true}})
	case "unserved":
		st.add(Unserved{a})
	case "withdrawn":
		st.add(Withdrawn{a})
	case "stopped": // its worker had it in hand and put it down
		st.add(Failed{Attempt: a, Worker: orElse(at(3), "w"), Start: at(4), Stopped: true, Fault: Fault{Class: Unavailable, Acted: ActedNo, Message: "never begun"}})
	case "decide":
		st.add(Decided{Escalation: at(1), Verb: Verb(at(2)), By: "ann", Params: json.RawMessage(at(3)), Answer: json.RawMessage(at(3))})
		return
	case "approve", "approve-retry", "approve-edit":
		st.approve(at(1), Verb(strings.TrimPrefix(strings.TrimPrefix(w[0], "approve"), "-")), at(2), at(3))
		return
	case "reject":
		st.add(Decided{Escalation: at(1), Verb: VerbReject, By: at(2), Reason: at(3)})
		return
	case "reopen": // reopen ESCALATION BY REASON REJECTION: a retry that takes a rejection back
		d := Decided{Escalation: at(1), Verb: VerbRetry, By: at(2), Reason: at(3), Reopens: at(4)}
		if g, ok, err := GrantFor(st.state, st.state.FindEscalation(d.Escalation), d); ok && err == nil {
			d.Grant = &g
		}
		st.add(d)
		return
	case "refuse":
		st.add(Failed{Attempt: a, Worker: "w", Fault: Fault{Class: PolicyDenied, Acted: ActedNo, Message: "not approved"}})
	case "cancel":
		st.add(Cancelled{By: "ann"})
	case "fired":
		st.add(Fired{})
	case "closed":
		st.add(Closed{State: st.state.Status()})
	default:
		st.t.Fatalf("unknown word %q", w[0])
	}
	if !ok && at(1) != "" {
		st.t.Fatalf("no attempt in %q", w)
	}
}

// approve decides with a grant, as the handoff service makes it; it has no signature, the core checks none.
func (st *story) approve(id string, v Verb, by, params string) {
	d := Decided{Escalation: id, Verb: Verb(orElse(string(v), string(VerbApprove))), By: by, Params: json.RawMessage(params)}
	g, ok, err := GrantFor(st.state, st.state.FindEscalation(id), d)
	if !ok {
		st.t.Fatalf("no grant for %+v: %v", d, err)
	}
	d.Grant = &g
	st.add(d)
}

// trace says what has changed since the last command.
func (st *story) trace() string {
	if st.state == nil {
		return ""
	}
	now := map[string]string{}
	var order []string
	put := func(k, v string) { now[k] = v; order = append(order, k) }
	put("run", string(st.state.Status())+because(st.state.Reason))
	for i := range st.state.Units {
		put(st.state.Units[i].ID, st.unitLine(i))
	}
	for n := range st.state.Escalations {
		e := &st.state.Escalations[n]
		put(e.ID, st.escalationLine(e))
	}
	timer := "none"
	if !st.timer.IsZero() {
		timer = st.timer.Sub(epoch).String()
	}
	put("timer", timer)
	var b strings.Builder
	for _, k := range order {
		if st.lines[k] != now[k] {
			fmt.Fprintf(&b, "  %s: %s\n", k, now[k])
		}
	}
	if have := st.have(); have != st.seen {
		st.seen = have
		b.WriteString("  wanted:\n")
		for l := range strings.Lines(have) {
			b.WriteString("    " + l)
		}
	}
	st.lines = now
	if b.Len() == 0 {
		return "  nothing\n"
	}
	return b.String()
}

func (st *story) escalationLine(e *Escalation) string {
	line := fmt.Sprintf("%s %s, %s: %s %v", e.State, e.Kind, e.Fault.Class, e.Fault.Message, e.Allowed)
	if e.Fault.Detail != "" {
		line += " (" + e.Fault.Detail + ")"
	}
	if !e.Deadline.IsZero() {
		line += " until " + e.Deadline.Sub(epoch).String()
	}
	if len(e.Approvals) > 0 {
		line += fmt.Sprintf(" approved by %v of %d", e.givenBy(), e.Needed)
	}
	if e.Follows != "" {
		line += " after " + e.Follows
	}
	return line
}

func (st *story) unitLine(i int) string {
	u := &st.state.Units[i]
	line := string(u.State)
	if len(u.Attempts) > 0 {
		rec := u.record()
		line += " " + st.state.Attempt(i).Token() + " " + st.state.RungName(i) + " (" + string(rec.State) + ")"
		if rec.Wait > 0 {
			line += " after " + rec.Wait.String()
		}
		if rec.Crashes > 0 {
			line += fmt.Sprintf(" crashes %d", rec.Crashes)
		}
		for _, l := range rec.Lost {
			line += " lost by " + orElse(l.Worker, "somebody")
		}
		if rec.Note != "" {
			line += " note: " + rec.Note
		}
	}
	if u.Output != nil {
		line += " -> " + string(u.Output)
	}
	if u.Degraded != nil {
		line += " degraded: " + u.Degraded.Cause
	}
	return line
}

// check holds for every story: folding the log anew gives the same picture, differences were enough, and what a settled
// card shows is what was open right before it was settled.
func (st *story) check() {
	for n := range st.state.Escalations {
		st.checkSettled(n)
	}
	if got, want := picture(st.refold()), picture(st.state); got != want {
		st.t.Errorf("folding the log anew gives another state:\n%s\nnot\n%s", got, want)
	}
	if got, want := st.have(), wanted(Wants(st.state, nil), st.state); got != want {
		st.t.Errorf("published differences add up to\n%s\nbut all that is wanted is\n%s", got, want)
	}
}

func (st *story) checkSettled(n int) {
	e := st.state.Escalations[n]
	if (e.Settled == 0) != (e.State == EscalationOpen) {
		st.t.Errorf("%s is %s, settled by record %d", e.ID, e.State, e.Settled)
	}
	if e.Settled <= e.Revision {
		return
	}
	var before *State
	for _, r := range st.log[:e.Settled-1] {
		before, _ = Apply(before, r)
	}
	if before.Escalations[n].State != EscalationOpen {
		st.t.Errorf("%s is %s right before record %d settled it", e.ID, before.Escalations[n].State, e.Settled)
	}
	then, now := MakeDossier(before, n), SettledDossier(before, st.state, n)
	if fmt.Sprint(then.Failing, then.Attempts, then.Plan, then.LastError) != fmt.Sprint(now.Failing, now.Attempts, now.Plan, now.LastError) {
		st.t.Errorf("the card of %s shows\n%+v\nnot what was asked:\n%+v", e.ID, now, then)
	}
}

func options(words []string) map[string]string {
	m := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
	}
	return m
}

// parseTool reads effects=, timeout=, rungs=a,b, max=, initial=, cap=.
func parseTool(name string, o map[string]string) Tool {
	t := Tool{Name: name, Effects: EffectsNone, Timeout: Duration(time.Minute)}
	if o["effects"] != "" {
		t.Effects = Effects(o["effects"])
	}
	if o["timeout"] != "" {
		t.Timeout = Duration(mustDuration(o["timeout"]))
	}
	p := RetryPolicy{MaxAttempts: 3, Initial: Duration(time.Second), Factor: 2, Max: Duration(time.Minute), RetryAfterMax: Duration(5 * time.Minute)}
	if o["max"] != "" {
		p.MaxAttempts, _ = strconv.Atoi(o["max"])
	}
	if o["named"] != "" {
		p.MaxNamedWaits, _ = strconv.Atoi(o["named"])
	}
	if o["initial"] != "" {
		p.Initial = Duration(mustDuration(o["initial"]))
	}
	for _, r := range strings.Split(orElse(o["rungs"], "primary"), ",") {
		t.Rungs = append(t.Rungs, Rung{Name: r, Executor: "http", Timeout: Duration(5 * time.Second), Retry: p})
		rung := &t.Rungs[len(t.Rungs)-1]
		switch r {
		case "cached":
			rung.Executor = "cache"
		case "human":
			rung.Executor, rung.Human = "human", &Human{Question: "which one?", Deadline: optional(o["ask"]), OnDeadline: OnExpiry(o["on_ask"])}
		}
	}
	if o["verify"] != "" {
		t.Verify = &Verify{Rung: Rung{Name: VerifyRung, Executor: "http", Retry: p}, Happened: o["verify"]}
	}
	if o["approval"] != "" {
		t.Approval = parseApproval(o)
	}
	return t
}

// parseApproval reads approval=always or an expression, approvers=, deadline=, on_deadline=, on_reject=, others=yes.
func parseApproval(o map[string]string) *Approval {
	a := &Approval{
		Decisions: []Verb{VerbApprove, VerbReject, VerbEdit, VerbAbort}, Approvers: 1, OnReject: OnReject(o["on_reject"]),
		Deadline: optional(o["deadline"]), OnDeadline: OnExpiry(orElse(o["on_deadline"], string(ExpiryEscalate))), NotSubmitter: o["others"] == "yes",
	}
	if o["approval"] != "always" {
		a.When = o["approval"]
	}
	if o["approvers"] != "" {
		a.Approvers, _ = strconv.Atoi(o["approvers"])
	}
	return a
}

func optional(s string) Duration {
	if s == "" {
		return 0
	}
	return Duration(mustDuration(s))
}

func (st *story) planOptions(o map[string]string) {
	p := &st.plan.Plan
	if o["deadline"] != "" {
		p.Deadline = Duration(mustDuration(o["deadline"]))
	}
	p.OnDeadline = OnDeadline(orElse(o["on_deadline"], string(DeadlineEscalate)))
	p.EscalateAfter, _ = strconv.Atoi(o["escalate_after"])
}

func (st *story) step(id string, o map[string]string) {
	p := st.plan
	s := Step{ID: id, Tool: o["tool"], OnFailure: OnFailure(orElse(o["on_failure"], string(OnFailureEscalate)))}
	if needs, ok := o["needs"]; ok {
		s.Needs = strings.FieldsFunc(needs, func(r rune) bool { return r == ',' })
	} else if n := len(p.Plan.Steps); n > 0 {
		s.Needs = []string{p.Plan.Steps[n-1].ID}
	}
	s.MaxParallel, _ = strconv.Atoi(o["max_parallel"])
	if o["compensate"] != "" {
		s.Compensate = &Compensate{Tool: o["compensate"]}
	}
	p.when[id], p.with[id], p.forEach[id], p.undoWith[id] = o["when"], o["with"], o["for_each"], o["undo_with"]
	p.Plan.Steps = append(p.Plan.Steps, s)
}

func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}
