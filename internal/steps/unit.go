package steps

import (
	"encoding/json"
	"strings"
	"time"
)

// Unit is what can have attempts: a plan step, an item of a for_each step, or the compensation of either.
type Unit struct {
	ID       string          // `<step>`, `<step>~<i>`, `<unit>~undo`; of an agent `<step>~t<turn>`, `<step>~t<turn>.<position>` and `<step>~s<summary>`
	Node     int             // index of Program.Nodes
	Since    uint64          // sequence of the record that put it into its state
	Round    int             // from 0; grows when a person sends it back
	Rung     int             // of the current attempt; len(Tool.Rungs) is the tool's probe
	Try      int             // of the current attempt on its rung, from 1; 0 before the first one
	Params   json.RawMessage // of the current round, templates filled in; nil before they are known
	Output   json.RawMessage // nil until it is done
	Deadline time.Time       // end of the budget of this round; zero = none
	Attempts []AttemptRecord // every one, oldest first
	Degraded *Degraded       // set when it succeeded, but not as meant
	Fault    *Fault          // the one that it was given up for, or that people are asked about
	AnswerBy string          // the person whose answer is the output
	Rejected *Decided        // the rejection that ended it or sent it down its ladder

	phase    Phase
	tainted  bool   // its input or its result is degraded, and so is all that is made from it
	stranger string // the unit that brought in the untrusted output which its input or its result is made from; empty: none
	origin   origin
	unmet    int32 // steps that it needs and that are not done yet
	sure     int32 // of so many damages people have been told that its call may have happened
	edit     int32 // grows when a person changes the parameters; part of the idempotency key
	question mark  // its last escalation
	doubt    mark  // the attempt that may have happened, and that its own outcome or a probe still settles
	out      outgoing
	onward   *Continuation // what its next attempt on this rung goes on with; nil: it begins anew
	ladder   ladder
	permit   permit
	fan      *fan     // of a for_each step that has begun
	loop     *loop    // of an agent step that has begun
	hold     *holding // by a person
	limit    *holding // by a limit; only while its attempt is in the queue as far as the log knows
	call     string   // of an agent: what it calls, for its idempotency key
	shows    mark     // of an agent's call: the one whose result it has, which was done in a turn taken back; nothing was called
}

// mark is 1 + an index, so that the zero value marks nothing.
type mark int32

func markOf(index int) mark { return mark(index + 1) }

// index is what m marks; -1 for nothing.
func (m mark) index() int { return int(m) - 1 }

// origin says what a unit is. It never changes.
type origin struct {
	kind   unitKind
	parent int32 // item: its for_each unit; undo: the unit that it undoes; turn, call and summary: their agent's unit
	item   int32 // index of the item; number of the turn or summary; of a call the index of its tool, -1 for one that does not exist
}

type unitKind uint8

const (
	planStep unitKind = iota
	fanItem
	undo
	agentTurn
	agentCall
	agentSummary
)

// outgoing is the attempt that is out. It means something only while [Phase.out] does.
type outgoing struct {
	notBefore time.Time // it must not be executed earlier; zero = at once
	effects   Effects   // by what was known of its tool when it was queued
	recall    *Fault    // why nobody wants it any more; it ends with this once it is taken back. Nil while it is wanted
}

// ladder is what bounds the tries on the way down a tool's rungs.
type ladder struct {
	faults     []classCount // on this rung, by class
	named      int32        // waits that the other side has named on this rung
	doubted    rungCount    // both of the rung whose attempt is being probed
	broken     time.Time    // since when its breaker keeps it from this rung; zero: it does not, or a worker has begun it since
	unapproved string       // why it goes on without its approval, and so on rungs that act on nothing; empty otherwise
}

// rungCount is what was counted on a rung.
type rungCount struct {
	faults []classCount
	named  int32
}

type classCount struct {
	class Class
	n     int
}

// permit is what lets the unit act.
type permit struct {
	grants     []Grant // approvals of this round
	policies   int32   // of its tool by which these are all that it needs; a worker that goes by another one hands it back
	objections int32   // attempts that workers have handed back because of that
}

// fan is the work of a for_each step.
type fan struct {
	items []json.RawMessage
	first int // unit index of item 0
	next  int // next item to start
	busy  int // items started and not ended
	left  int // items not ended
}

// State is where the unit stands, as programs and people are shown it.
func (u *Unit) State() StepState { return u.phase.State() }

// Phase is where the unit stands in detail.
func (u *Unit) Phase() Phase { return u.phase }

// Spoken is the unit's name as people read it: `ship`, `ship[2]` for an item, `undo ship`.
func (u *Unit) Spoken() string {
	base, undone := strings.CutSuffix(u.ID, undoSuffix)
	if step, item, ok := strings.Cut(base, "~"); ok && (item[0] == 't' || item[0] == 's') {
		base = step + " " + item
	} else if ok {
		base = step + "[" + item + "]"
	}
	if undone {
		return "undo " + base
	}
	return base
}

// Current is the attempt that the unit stands on: the newest, but for one whose outcome a probe could not settle. The
// unit must have one.
func (u *Unit) Current() *AttemptRecord {
	last := len(u.Attempts) - 1
	for n := last; n >= 0 && u.Attempts[n].Round == u.Round; n-- {
		if rec := &u.Attempts[n]; rec.Rung == u.Rung && rec.Try == u.Try {
			return rec
		}
	}
	return &u.Attempts[last]
}

// is reports whether a names the unit's current attempt, and that one is still out.
func (u *Unit) is(a Attempt) bool { return u.names(a) && u.phase.out() }

func (u *Unit) names(a Attempt) bool {
	return len(u.Attempts) > 0 && u.Round == a.Round && u.Rung == a.Rung && u.Try == a.Try
}

// Over reports whether nothing more will come of the unit.
func (u *Unit) Over() bool { return overPhases.has(u.phase) }
