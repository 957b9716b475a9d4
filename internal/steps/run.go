package steps

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// State is a run, folded from its log. Only [Apply] changes it; everybody else reads.
type State struct {
	Run       string
	Program   *Program
	Input     json.RawMessage
	Labels    map[string]string
	ToolsFile string
	Trace     string // the trace that the submitter was in (traceparent), if any
	RetryOf   string
	By        string
	Seq       uint64    // of the last record applied
	Now       time.Time // of the last record applied; never goes back
	Submitted time.Time
	Ended     time.Time // when it was clear how the run ends; zero before

	// Units are what can have attempts: first one per plan step, in the plan's order, then, as they come up, the items
	// of for_each and the compensations.
	Units       []Unit
	Escalations []Escalation
	Output      json.RawMessage
	Reason      string // why the run failed, was aborted or cancelled

	epoch   int
	denials []denial                // in the order of the log
	heard   map[string]*heardPolicy // by tool: what workers said of it that the submission does not
	keyRun  string
	decoded any // Input, once an expression has asked for it
	carried map[string]Carried
	faults  map[faultKey]int // since the last decision, for escalate_after
	final   RunState         // how the run ends, once that is clear; empty before
	ending  RunState         // how it will end when attempts and compensations are through; empty while it goes on
	closed  bool             // Closed is in the log

	endingFrom time.Time
	endingSeq  uint64           // of the record that began it
	alarms     map[Attempt]bool // refused attempts that nobody had wanted, and people were told of
	paused     bool             // the run's deadline is with a person: nothing new is queued
	noUndo     bool             // a person ended the compensations
	outputAsk  bool             // the output's expression is with a person
	completed  []int            // units in the order of completion, for compensations in reverse
	active     int              // units whose attempt is in the queue or with a worker
	left       int              // units that have not ended
	open       int              // open escalations

	// The work clock: spent up to from, and running since then unless it stands.
	spent, allowed time.Duration
	from           time.Time
	standing       bool
}

type faultKey struct {
	tool  string
	class Class
}

// RunUnit stands for the run itself among touched units: its deadline, its output, its end.
const RunUnit = -1

// Unit is what can have attempts: a plan step, an item of a for_each step, or the compensation of either.
type Unit struct {
	ID       string // `<step>`, `<step>~<i>`, `<unit>~undo`
	Node     int    // index of Program.Nodes
	State    StepState
	Since    uint64 // sequence of the record that put it into State
	Round    int
	Rung     int
	Try      int
	Params   json.RawMessage // of the current round, templates filled in
	Output   json.RawMessage
	Deadline time.Time // end of the budget of this round; zero = none
	Attempts []AttemptRecord
	Degraded *Degraded // set when it succeeded, but not as meant
	Fault    *Fault    // the one that it was given up for
	AnswerBy string    // the person whose answer is the output
	Rejected *Decided  // the rejection that ended it or sent it down its ladder

	notBefore  time.Time
	edit       int // grows when a person changes the parameters; part of the idempotency key
	tainted    bool
	settled    bool         // unknown, and nobody needs to know any more
	deferred   bool         // wants its next attempt as soon as the run is no longer paused
	giving     *Fault       // given up as soon as its claim is withdrawn
	grants     []Grant      // approvals of this round
	instead    string       // why it went down to a rung that acts on nothing, without a fault
	doubt      int          // 1 + index of the attempt that a probe looks after, 0 = none
	counts     []classCount // faults on this rung
	objections int          // attempts that came back because a worker's tools file is another one
	acts       Effects      // of the current attempt, by what was known of its tool when it was queued
	known      int          // policies of its tool by which it has the approvals that it needs
	named      int          // waits that the other side has named on this rung
	waiting    int          // needs not yet done
	escalation int          // 1 + index of its last escalation, 0 = none
	kind       unitKind
	parent     int // item: its for_each unit; undo: the unit that it undoes
	item       int // index of the item
	fan        *fan
}

// Spoken is the unit's name as people read it: `ship`, `ship[2]` for an item, `undo ship`.
func (u *Unit) Spoken() string {
	base, undone := strings.CutSuffix(u.ID, "~undo")
	if step, item, ok := strings.Cut(base, "~"); ok {
		base = step + "[" + item + "]"
	}
	if undone {
		return "undo " + base
	}
	return base
}

type classCount struct {
	class Class
	n     int
}

type unitKind uint8

const (
	planStep unitKind = iota
	fanItem
	undo
)

// fan is the work of a for_each step.
type fan struct {
	items []json.RawMessage
	first int // unit index of item 0
	next  int // next item to start
	busy  int // items started and not ended
	left  int // items not ended
}

// Status is where the run stands.
func (s *State) Status() RunState {
	switch {
	case s.final != "":
		return s.final
	case s.standing:
		return RunWaiting
	}
	return RunRunning
}

// Ending is how a live run will end, when that is settled already: a run that is cancelled goes on until its attempts
// have stopped and what was done is undone. Empty for a run that goes on, and for one that has ended.
func (s *State) Ending() RunState {
	if s.final != "" {
		return ""
	}
	return s.ending
}

// Closed reports whether the log holds the run's end.
func (s *State) Closed() bool { return s.closed }

// Unit finds a unit by its id; -1 when there is none.
func (s *State) Unit(id string) int {
	base, rest, nested := strings.Cut(id, "~")
	i, ok := s.Program.index[base]
	if !ok {
		return -1
	}
	if !nested {
		return i
	}
	if f := s.Units[i].fan; f != nil && rest != "undo" {
		n, err := strconv.Atoi(strings.TrimSuffix(rest, "~undo"))
		if err != nil || n < 0 || n >= len(f.items) {
			return -1
		}
		if f.first+n < len(s.Units) && s.Units[f.first+n].ID == id {
			return f.first + n
		}
	}
	return s.findLate(id)
}

// findLate looks among the compensations; there are few, and only in a run that is ending.
func (s *State) findLate(id string) int {
	for i := len(s.Units) - 1; i >= len(s.Program.Nodes); i-- {
		if s.Units[i].ID == id {
			return i
		}
	}
	return -1
}

// Tool is the policy that unit i executes.
func (s *State) Tool(i int) *Tool {
	t := s.pinned(i)
	if h := s.heard[t.Name]; h != nil {
		return &h.tool
	}
	return t
}

// pinned is the policy of unit i's tool as it was submitted.
func (s *State) pinned(i int) *Tool {
	n := &s.Program.Nodes[s.Units[i].Node]
	if s.Units[i].kind == undo {
		return n.CompensateTool
	}
	return n.Tool
}

// asks are the expressions about calls of unit i's tool.
func (s *State) asks(i int) Asks {
	t := s.pinned(i)
	if h := s.heard[t.Name]; h != nil {
		return h.asks
	}
	return s.Program.Asks[t.Name]
}

// RungName is the name of the rung that unit i stands on, "" before its first attempt.
func (s *State) RungName(i int) string {
	u := &s.Units[i]
	if len(u.Attempts) == 0 {
		return ""
	}
	return s.Tool(i).Rung(u.Rung).Name
}

// probing reports whether unit i's current attempt is the tool's probe.
func (s *State) probing(i int) bool {
	t := s.Tool(i)
	return t.Verify != nil && s.Units[i].Rung == len(t.Rungs)
}

// effects are those of unit i's current attempt.
func (s *State) effects(i int) Effects {
	switch u := &s.Units[i]; {
	case s.probing(i):
		return EffectsNone
	case u.State.InQueue():
		return u.acts
	}
	return s.Tool(i).Effects
}

// claimed reports whether unit i's current attempt must be claimed before it is executed.
func (s *State) claimed(i int) bool {
	return s.effects(i).Unsafe() || len(s.Units[i].grants) > 0 && !s.probing(i)
}

// Key is the idempotency key of unit i: the same for every attempt, rung and plain retry, new after a person's edit.
func (s *State) Key(i int) string {
	return s.keyRun + "/" + s.Units[i].ID + "/" + strconv.Itoa(s.Units[i].edit)
}

// Attempt names the current attempt of unit i.
func (s *State) Attempt(i int) Attempt {
	u := &s.Units[i]
	return Attempt{Step: u.ID, Round: u.Round, Rung: u.Rung, Try: u.Try}
}

// Items are the units of for_each step i, nil for other steps.
func (s *State) Items(i int) []Unit {
	f := s.Units[i].fan
	if f == nil {
		return nil
	}
	return s.Units[f.first : f.first+len(f.items)]
}

// Undo is the unit that unit `undone` is compensated by, if i is such a compensation.
func (s *State) Undo(i int) (undone int, ok bool) {
	u := &s.Units[i]
	return u.parent, u.kind == undo
}

// record is the attempt that the unit stands on: the newest, but for one whose outcome a probe could not settle.
func (u *Unit) record() *AttemptRecord {
	last := len(u.Attempts) - 1
	for n := last; n >= 0 && u.Attempts[n].Round == u.Round; n-- {
		if rec := &u.Attempts[n]; rec.Rung == u.Rung && rec.Try == u.Try {
			return rec
		}
	}
	return &u.Attempts[last]
}

// is reports whether a names the unit's current attempt, and that one is still out.
func (u *Unit) is(a Attempt) bool {
	return u.names(a) && u.State.InQueue() && u.fan == nil
}

func (u *Unit) names(a Attempt) bool {
	return len(u.Attempts) > 0 && u.Round == a.Round && u.Rung == a.Rung && u.Try == a.Try
}

// over reports whether nothing more will come of the unit.
func (u *Unit) over() bool { return u.State.Ended() || u.settled }

func (s *State) scope(i int) Scope {
	c := Scope{state: s}
	u := &s.Units[i]
	if u.kind == undo {
		u = &s.Units[u.parent]
	}
	if u.kind == fanItem {
		c.each, c.index, c.item = true, u.item, s.Units[u.parent].fan.items[u.item]
	}
	return c
}

func (s *State) stepRoot(id string) map[string]any {
	i, ok := s.Program.index[id]
	if !ok {
		return nil
	}
	u := &s.Units[i]
	return map[string]any{"output": Decode(u.Output), "state": string(u.State), "degraded": u.tainted, "degraded_by": s.degradedBy(i), "rejection": rejection(u)}
}
