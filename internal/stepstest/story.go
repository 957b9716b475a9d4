package stepstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Story is a run that is told in commands, one a line.
type Story struct {
	*World
	Plan   *Plan          // what the first commands say; compiled by `submit`
	Before []steps.Record // the logs of runs that go on as this one

	lines map[string]string // what the last trace said of each part
	seen  string            // what was wanted then
	asks  string            // what a model is asked, where the last command wants to see that
}

// NewStory begins a story.
func NewStory(t TB) *Story {
	st := &Story{World: NewWorld(t), Plan: NewPlan()}
	st.Plan.Plan.Name = "story"
	return st
}

// Tell runs the commands of text, one a line, and gives the run that comes of them.
func Tell(t TB, text string) *steps.State {
	st := NewStory(t)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			st.Command(line)
		}
	}
	return st.State
}

// Command does one line: `tool NAME k=v...`, `plan k=v...`, `step ID k=v...`, `output EXPR`, `submit [EPOCH] [in=DURATION]`,
// `other-plan`, `replay FROM,...`, `replayed FROM,...`, `migrate [drop=STEP,...]`, `migrated [drop=STEP,...]`, and then
// `[+<duration>] <event> ...`, where +<duration> moves the clock and fires the timer when it is due.
func (st *Story) Command(line string) {
	w := strings.Fields(line)
	switch w[0] {
	case "tool":
		o := options(w[2:])
		st.Plan.Tools[w[1]], st.Plan.ToolUndo[w[1]] = ParseTool(w[1], o), o["undo_with"]
		return
	case "plan":
		st.Plan.set(options(w[1:]))
		return
	case "step":
		st.Plan.addStep(w[1], options(w[2:]))
		return
	case "output":
		st.Plan.Output = w[1]
		return
	case "other-plan": // what follows says what the tools and the plan of a replay, or of a migration, are
		st.Plan = NewPlan()
		st.Plan.Plan.Name = "story"
		return
	case "replay": // replay FROM,... [again=STEP,...]: says what would become of it
		st.asks = st.replay(w[1:], false)
		return
	case "replayed": // the same, and the story goes on with the replay
		st.asks = st.replay(w[1:], true)
		return
	case "migrate": // migrate [drop=STEP,...]: says whether what is done fits the plan
		st.asks = st.migrate(w[1:], false)
		return
	case "migrated": // the same, and the story goes on with the run that it becomes
		st.asks = st.migrate(w[1:], true)
		return
	case "submit": // `submit` under the newest rules, `submit 1` under older ones, `submit in=1h` for later
		st.submit(w[1:])
		return
	}
	if d, ok := strings.CutPrefix(w[0], "+"); ok {
		st.pass(Duration(d))
		w = w[1:]
	}
	if len(w) > 0 {
		st.event(w)
	}
}

func (st *Story) submit(w []string) {
	e := steps.Submitted{Epoch: steps.Epoch, Program: st.Plan.Program(), Input: json.RawMessage(`{}`), By: "sue"}
	for _, word := range w {
		if in, ok := strings.CutPrefix(word, "in="); ok {
			e.In = steps.Duration(Duration(in))
			continue
		}
		e.Epoch, _ = strconv.Atoi(word)
	}
	st.Add(e)
}

// pass lets time pass, the timer firing on its way.
func (st *Story) pass(d time.Duration) {
	end := st.Now.Add(d)
	for !st.Timer.IsZero() && !st.Timer.After(end) {
		st.Now = st.Timer
		st.Timer = time.Time{}
		st.Add(steps.Fired{})
	}
	st.Now = end
}

func (st *Story) event(w []string) {
	at := func(n int) string {
		if n < len(w) {
			return w[n]
		}
		return ""
	}
	if st.decision(w[0], at) {
		return
	}
	switch w[0] {
	case "cancel":
		st.Add(steps.Cancelled{By: "ann"})
	case "steer": // steer STEP ID TEXT...
		st.Add(steps.Steered{Step: at(1), ID: at(2), By: "ann", Text: strings.Join(w[min(3, len(w)):], " ")})
	case "asks": // asks UNIT: what a model of an agent is asked there, a message a line
		st.asks = st.asked(at(1))
	case "take-back": // take-back STEP ID TURN TEXT...
		n, _ := strconv.Atoi(at(3))
		st.Add(steps.Steered{Step: at(1), ID: at(2), By: "ann", TakeBack: n, Text: strings.Join(w[min(4, len(w)):], " ")})
	case "fired":
		st.Add(steps.Fired{})
	case "damaged": // damaged ID [hole]: the log has lost something, or may have
		st.Add(steps.Damaged{Damage: at(1), What: "the log has lost its end", Hole: at(2) == "hole"})
	case "closed":
		st.Add(steps.Closed{State: st.State.Status()})
	default:
		a, ok := steps.ParseAttempt(at(1), at(2))
		if !ok {
			st.T.Fatalf("no attempt in %q", w)
		}
		st.attempt(a, w, at)
	}
}

// asked is what a turn or a summary of an agent asks its model.
func (st *Story) asked(unit string) string {
	asks, ok := st.State.Conversation(steps.Attempt{Step: unit})
	if !ok {
		return "  nobody is asked in " + unit + "\n"
	}
	var b strings.Builder
	if len(asks.Tools) == 0 {
		fmt.Fprintf(&b, "  %q, %d tokens at most\n", asks.Instructions, asks.MaxTokens)
	}
	for _, m := range asks.Messages {
		fmt.Fprintf(&b, "  %s %s%q", m.Role, m.Call, m.Text)
		for _, c := range m.Calls {
			fmt.Fprintf(&b, " %s %s:%s", c.ID, c.Name, c.Arguments)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// decision adds what a person decides; false for any other word.
func (st *Story) decision(word string, at func(int) string) bool {
	switch word {
	case "decide":
		st.Add(steps.Decided{Escalation: at(1), Verb: steps.Verb(at(2)), By: "ann", Params: json.RawMessage(at(3)), Answer: json.RawMessage(at(3))})
	case "approve", "approve-retry", "approve-edit", "approve-passkey":
		st.approve(at(1), strings.TrimPrefix(strings.TrimPrefix(word, "approve"), "-"), at(2), at(3))
	case "reject":
		st.Add(steps.Decided{Escalation: at(1), Verb: steps.VerbReject, By: at(2), Reason: at(3), Scope: steps.DenialScope(at(4))})
	case "reopen": // reopen ESCALATION BY REASON REJECTION: a retry that takes a rejection back
		d := steps.Decided{Escalation: at(1), Verb: steps.VerbRetry, By: at(2), Reason: at(3), Reopens: at(4)}
		if g, ok, err := steps.GrantFor(st.State, st.State.FindEscalation(d.Escalation), d); ok && err == nil {
			d.Grant = &g
		}
		st.Add(d)
	default:
		return false
	}
	return true
}

// attempt adds what happened to an attempt: `<word> STEP ATTEMPT ...`.
func (st *Story) attempt(a steps.Attempt, w []string, at func(int) string) {
	if st.leaves(a, w[0], at) {
		return
	}
	failed := func(f steps.Fault) { st.Add(steps.Failed{Attempt: a, Worker: "w", Fault: f}) }
	switch w[0] {
	case "started":
		st.Add(steps.Started{Attempt: a, Worker: at(3), Delivery: at(4)})
	case "unheard": // the first one that the log hears of, behind another
		st.Add(steps.Started{Attempt: a, Worker: at(3), Delivery: at(4), Unheard: true})
	case "objected": // objected STEP ATTEMPT WORKER k=v...: what its tools file says of the tool
		st.Add(Objection(a, at(3), ParseTool("t", options(w[4:]))))
	case "claimed":
		st.Add(steps.Claimed{Attempt: a, Worker: at(3)})
	case "junk": // junk STEP ATTEMPT [claim|policy]: its worker has written what cannot be read, or not used
		st.Add(steps.Junk{Attempt: a, Claim: at(3) == "claim", Policy: at(3) == "policy", Why: "unreadable message"})
	case "ok":
		st.Add(steps.Succeeded{Attempt: a, Worker: "w", Output: json.RawMessage(at(3))})
	case "says": // says STEP ATTEMPT TOKENS TEXT [CALL:ARGUMENTS...]: what a model answers
		st.Add(steps.Succeeded{Attempt: a, Worker: "w", Output: answer(at(4), w[min(5, len(w)):]), Usage: usage(at(3))})
	case "fail": // fail STEP ATTEMPT CLASS ACTED [RETRY-AFTER]
		f := steps.Fault{Class: steps.Class(at(3)), Acted: steps.Acted(at(4)), Message: "it failed"}
		if at(5) != "" {
			f.RetryAfter = steps.Duration(Duration(at(5)))
		}
		failed(f)
	case "doubted": // another worker has found that it may have happened
		st.Add(steps.Failed{Attempt: a, Worker: at(3), Fault: steps.Fault{Class: steps.Unknown, Acted: steps.ActedMaybe, Message: "its worker is silent"}})
	case "final": // a fault that the same call would bring again
		failed(steps.Fault{Class: steps.Class(at(3)), Acted: steps.Acted(at(4)), Message: "it failed", Final: true})
	case "refuse":
		failed(steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "not approved"})
	case "unserved":
		st.Add(steps.Unserved{Attempt: a})
	case "withdrawn":
		st.Add(steps.Withdrawn{Attempt: a})
	case "held": // held STEP ATTEMPT GATE BY REASON
		st.Add(steps.Held{Attempt: a, Hold: steps.Hold{Why: steps.HoldGate, Gate: at(3), Covers: "all", By: at(4), Reason: at(5), Since: st.Now}})
	case "limited": // limited STEP ATTEMPT WHY COVERS REASON
		st.Add(steps.Held{Attempt: a, Hold: steps.Hold{Why: steps.HoldWhy(at(3)), Covers: at(4), Reason: at(5), Since: st.Now.Add(-2 * time.Second)}})
	case "released": // released STEP ATTEMPT GATE BY
		st.Add(steps.Released{Attempt: a, Gate: at(3), By: at(4)})
	case "stopped": // its worker had it in hand and did not begin it
		f := steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun"}
		st.Add(steps.Failed{Attempt: a, Worker: cmp.Or(at(3), "w"), Start: at(4), Stopped: true, Fault: f})
	default:
		st.T.Fatalf("unknown word %q", w[0])
	}
}

// answer is what a model says, with the calls that it proposes.
func answer(text string, calls []string) json.RawMessage {
	said := map[string]any{"text": text, "stop": "end"}
	if object, ok := strings.CutPrefix(text, "object:"); ok {
		said = map[string]any{"text": "", "object": json.RawMessage(object)}
	}
	var list []map[string]any
	for _, c := range calls {
		name, args, _ := strings.Cut(c, ":")
		list = append(list, map[string]any{"id": "made_up", "name": name, "arguments": json.RawMessage(cmp.Or(args, "{}"))})
	}
	if len(list) > 0 {
		said["calls"] = list
	}
	b, err := json.Marshal(said)
	if err != nil {
		panic(err)
	}
	return b
}

// usage is so many tokens, half of them written.
func usage(text string) *steps.Usage {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return &steps.Usage{Input: n - n/2, Output: n / 2}
}

// approve decides with a grant, as the handoff service makes it; it has no signature, and what a passkey has signed is not
// read: the core checks neither.
func (st *Story) approve(id, how, by, params string) {
	d := steps.Decided{Escalation: id, Verb: steps.VerbApprove, By: by, Params: json.RawMessage(params)}
	if how != "" && how != "passkey" {
		d.Verb = steps.Verb(how)
	}
	g, ok, err := steps.GrantFor(st.State, st.State.FindEscalation(id), d)
	if !ok {
		st.T.Fatalf("no grant for %+v: %v", d, err)
	}
	if d.Grant = &g; how == "passkey" {
		g.Passkey = &steps.Assertion{Credential: by, Client: []byte("{}"), Authenticator: []byte("a"), Signature: []byte("s")}
	}
	st.Add(d)
}

// Trace says what has changed since the last command.
func (st *Story) Trace() string {
	if st.State == nil {
		return ""
	}
	if asks := st.asks; asks != "" {
		st.asks = ""
		return asks
	}
	now := map[string]string{}
	var order []string
	put := func(k, v string) { now[k] = v; order = append(order, k) }
	put("run", string(st.State.Status())+because(st.State.Reason))
	for i := range st.State.Units {
		put(st.State.Units[i].ID, st.unitLine(i))
	}
	for n := range st.State.Escalations {
		e := &st.State.Escalations[n]
		put(e.ID, st.escalationLine(e))
	}
	timer := "none"
	if !st.Timer.IsZero() {
		timer = st.Timer.Sub(Start).String()
	}
	put("timer", timer)
	var b strings.Builder
	for _, k := range order {
		if st.lines[k] != now[k] {
			fmt.Fprintf(&b, "  %s: %s\n", k, now[k])
		}
	}
	if have := st.Have(); have != st.seen {
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

func (st *Story) escalationLine(e *steps.Escalation) string {
	line := fmt.Sprintf("%s %s, %s: %s %v", e.State, e.Kind, e.Fault.Class, e.Fault.Message, e.Allowed)
	if e.Fault.Detail != "" {
		line += " (" + e.Fault.Detail + ")"
	}
	if !e.Deadline.IsZero() {
		line += " until " + e.Deadline.Sub(Start).String()
	}
	if len(e.Approvals) > 0 {
		line += fmt.Sprintf(" approved by %v of %d", e.ApprovedBy(), e.Needed)
	}
	if e.Follows != "" {
		line += " after " + e.Follows
	}
	return line
}

func (st *Story) unitLine(i int) string {
	u := &st.State.Units[i]
	line := string(u.State())
	if len(u.Attempts) > 0 {
		rec := u.Current()
		line += " " + st.State.Attempt(i).Token() + " " + st.State.RungName(i) + " (" + string(rec.State) + ")"
		if rec.Wait > 0 {
			line += " after " + rec.Wait.String()
		}
		if rec.Crashes > 0 {
			line += fmt.Sprintf(" crashes %d", rec.Crashes)
		}
		for _, l := range rec.Lost {
			line += " lost by " + cmp.Or(l.Worker, "somebody")
		}
		line += onward(rec)
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
	if of := u.ResultOf(); of >= 0 {
		line += " as of " + st.State.Units[of].ID
	}
	return line
}

// Check holds for every story: folding the log anew gives the same picture, differences were enough, and what the
// dossier of an ended escalation shows is what was open right before it ended.
func (st *Story) Check() {
	for n := range st.State.Escalations {
		st.checkEnded(n)
	}
	if got, want := Picture(st.Refold()), Picture(st.State); got != want {
		st.T.Errorf("folding the log anew gives another state:\n%s\nnot\n%s", got, want)
	}
	if got, want := st.Have(), WantedText(steps.Wants(st.State, nil), st.State); got != want {
		st.T.Errorf("published differences add up to\n%s\nbut all that is wanted is\n%s", got, want)
	}
}

func (st *Story) checkEnded(n int) {
	e := st.State.Escalations[n]
	if (e.EndedSeq == 0) != (e.State == steps.EscalationOpen) {
		st.T.Errorf("%s is %s, ended by record %d", e.ID, e.State, e.EndedSeq)
	}
	if e.EndedSeq <= e.Revision {
		return
	}
	var before *steps.State
	for _, r := range st.Records[:e.EndedSeq-1] {
		before, _ = steps.Apply(before, r)
	}
	if before.Escalations[n].State != steps.EscalationOpen {
		st.T.Errorf("%s is %s right before record %d ended it", e.ID, before.Escalations[n].State, e.EndedSeq)
	}
	then, now := view.DossierOf(before, n), view.EndedDossierOf(before, st.State, n)
	if fmt.Sprint(then.Failing, then.Attempts, then.Plan, then.LastError) != fmt.Sprint(now.Failing, now.Attempts, now.Plan, now.LastError) {
		st.T.Errorf("the dossier of %s shows\n%+v\nnot what was asked:\n%+v", e.ID, now, then)
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
