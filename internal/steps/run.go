package steps

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// State is a run, folded from its log. Only [Apply] changes it; everybody else reads.
type State struct {
	Run       string            // the run's id
	Program   *Program          // the compiled plan and its pinned tools
	Input     json.RawMessage   // the whole input, an object
	Labels    map[string]string // see [Submitted]
	ToolsFile string            // see [Submitted]
	Trace     string            // the trace that the submitter was in (traceparent), if any
	ReportTo  string            // token of a program that waits for the end, if any; see [Submitted]
	RetryOf   string            // the run that this one goes on from, if any
	Replay    *ReplayOf         // the run that this one does again; nil = none
	Migrates  *MigrationOf      // the run that goes on as this one; nil = none
	By        string            // who submitted it
	Token     string            // id of the API token that they showed; empty = none, see [Submitted]
	Seq       uint64            // of the last record applied
	Now       time.Time         // of the last record applied; never goes back
	Submitted time.Time         // the log's time of the first record
	Scheduled time.Time         // when it is to begin; zero = it began when it was submitted
	Began     time.Time         // when it began; zero while its time has not come, and for good where it ended before
	Ended     time.Time         // when it was clear how the run ends; zero before

	// Units are what can have attempts: first one per plan step, in the plan's order, then the items of for_each and the
	// compensations as they come up. An index into it stays valid.
	Units       []Unit
	Escalations []Escalation    // in the order in which they were opened; nothing is removed
	Output      json.RawMessage // nil before the end, and without an output template
	Reason      string          // why the run failed, was aborted or cancelled

	epoch   int                     // see [Epoch]
	denials []denial                // in the order of the log
	heard   map[string]*heardPolicy // by tool: what workers said of it that the submission does not
	keyRun  string                  // see [Submitted.KeyRun]
	keyRuns map[string]string       // see [Submitted.Keys]
	decoded any                     // Input, once an expression has asked for it
	carried map[string]Carried      // by step: what a retry or a replay does not do again
	proof   *Proof                  // see [Submitted]; nil for most runs

	submission *Submission      // what proof is of; nil without one
	faults     map[faultKey]int // since the last decision, for escalate_after
	final      RunState         // how the run ends, once that is clear; empty before
	ending     RunState         // how it will end when attempts and compensations are through; empty while it goes on
	closed     bool             // Closed is in the log
	migrated   *Migrated        // how it goes on as another run; nil = it does not
	spared     bool             // it goes on under the spare id of that

	endingFrom time.Time
	endingSeq  uint64           // of the record that began it
	alarms     map[Attempt]bool // refused attempts that the run never wanted and that people were asked about
	early      map[Attempt]bool // names that are used up although the run has not made the attempts
	paused     bool             // people are asked about the run's deadline: nothing new is queued
	holed      bool             // people are asked whether a run goes on of which the log has lost something: the same
	damages    []string         // ids of what has happened to the log, see [Damaged]
	damage     string           // the last of them, in words
	first      uint64           // sequence of the first record
	noUndo     bool             // a person has ended the compensations
	askedLeft  bool             // people were asked about all calls that may be left done
	outputAsk  bool             // people are asked about the output's expression
	completed  []int            // units in the order of completion, for compensations in reverse
	active     int              // units whose attempt is in the queue or with a worker
	left       int              // units that have not ended
	open       int              // open escalations
	held       int              // units that people hold back
	limited    int              // units that limits hold back, as the log says

	clock   workClock
	allowed time.Duration // of clock; 0 = no deadline
}

type faultKey struct {
	tool  string
	class Class
}

// RunUnit stands for the run itself among touched units: its deadline, its output, its end.
const RunUnit = -1

// Status is where the run stands.
func (s *State) Status() RunState {
	switch {
	case s.final != "":
		return s.final
	case s.toBegin():
		return RunScheduled
	case s.clock.standing:
		return RunWaiting
	}
	return RunRunning
}

// Ending is how a live run will end, where that is certain already: a run that is cancelled goes on until its attempts
// have stopped and what was done is undone. It is empty for a run that goes on and for one that has ended.
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
	if !nested || rest == "" {
		return i
	}
	if l := s.Units[i].loop; l != nil && rest[0] == 't' && !strings.HasSuffix(rest, undoSuffix) {
		return l.find(rest[1:])
	}
	if l := s.Units[i].loop; l != nil && rest[0] == 's' {
		return l.findSummary(rest[1:])
	}
	if f := s.Units[i].fan; f != nil && rest != "undo" {
		n, err := strconv.Atoi(strings.TrimSuffix(rest, undoSuffix))
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
	switch o := s.Units[i].origin; {
	case o.kind == undo:
		return s.undoing(int(o.parent)).Tool
	case o.kind == agentCall && o.item < 0:
		return noTool
	case o.kind == agentCall:
		return n.Agent.Tools[o.item].Tool
	case o.kind == agentSummary:
		return n.Agent.Summary.Tool
	}
	return n.Tool
}

// asks are the expressions about calls of unit i's tool.
func (s *State) Asks(i int) Asks {
	t := s.pinned(i)
	if h := s.heard[t.Name]; h != nil {
		return h.asks
	}
	return s.Program.Asks[t.Name]
}

// RungName is the name of the rung that unit i stands on, "" before its first attempt.
func (s *State) RungName(i int) string {
	u := &s.Units[i]
	if len(u.Attempts) == 0 && u.shows == 0 {
		return ""
	}
	return s.Tool(i).Rung(u.Rung).Name
}

// probing reports whether unit i's current attempt is the tool's probe.
func (s *State) Probing(i int) bool {
	t := s.Tool(i)
	return t.Verify != nil && s.Units[i].Rung == len(t.Rungs)
}

// effects are those of unit i's current attempt.
func (s *State) effects(i int) Effects {
	switch u := &s.Units[i]; {
	case s.Probing(i):
		return EffectsNone
	case u.phase.out():
		return u.out.effects
	}
	return s.Tool(i).Effects
}

// claimed reports whether unit i's current attempt must be claimed before it is executed.
func (s *State) claimed(i int) bool {
	return s.effects(i).Unsafe() || len(s.Units[i].permit.grants) > 0 && !s.Probing(i)
}

// Key is the idempotency key of unit i: the same for every attempt, rung and plain retry, new after a person's edit and, in a
// retry of the run, once what was done under it has been undone.
func (s *State) Key(i int) string { return s.keyAfter(i, int(s.Units[i].edit)) }

// keyAfter is the idempotency key of unit i after so many edits.
func (s *State) keyAfter(i, edits int) string {
	name := s.keyName(i)
	run := orElse(s.keyRuns[strings.TrimSuffix(name, undoSuffix)], s.keyRun)
	return run + "/" + name + "/" + strconv.Itoa(edits)
}

// keyName is what names unit i in its idempotency key: of an agent's call, and of what undoes it, what is called.
func (s *State) keyName(i int) string {
	u := &s.Units[i]
	switch of, undoes := s.Undo(i); {
	case u.origin.kind == agentCall:
		return s.Units[u.origin.parent].ID + "~" + u.call
	case undoes && s.Units[of].origin.kind == agentCall:
		return s.keyName(of) + undoSuffix
	}
	return u.ID
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
	return int(u.origin.parent), u.origin.kind == undo
}

func (s *State) scope(i int) Scope {
	c := Scope{state: s}
	u := &s.Units[i]
	if u.origin.kind == undo {
		u = &s.Units[u.origin.parent]
	}
	if u.origin.kind == fanItem {
		c.each, c.index, c.item = true, int(u.origin.item), s.Units[u.origin.parent].fan.items[u.origin.item]
	}
	return c
}

func (s *State) stepRoot(id string) map[string]any {
	i, ok := s.Program.index[id]
	if !ok {
		return nil
	}
	u := &s.Units[i]
	return map[string]any{"output": Decode(u.Output), "state": string(u.State()), "degraded": u.tainted, "degraded_by": s.degradedBy(i), "rejection": rejection(u)}
}
