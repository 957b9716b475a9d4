package tally

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/steps"
)

// Calls says what becomes of the calls of damaged runs that must not happen twice, and that the log may have forgotten.
type Calls string

const (
	CallsAsk Calls = "ask" // they are not made: their tools' probes, or people, settle each
	CallsRun Calls = "run" // they are made: somebody knows that they have not happened
)

// Choice is what becomes of the calls of some runs.
type Choice struct {
	Runs   []string  `json:"runs"`   // sorted
	Calls  Calls     `json:"calls"`  // of these runs
	By     string    `json:"by"`     // who said so
	Reason string    `json:"reason"` // in that person's words
	At     time.Time `json:"at"`     // when
}

// Verdict is what a person says about what was found.
type Verdict struct {
	By         string
	Reason     string
	Calls      Calls    // empty = CallsAsk
	Runs       []string // only of these runs; the rest is not accepted by that. Nil = all
	Partitions []int    // only what was found in these; nil = all
}

// Check returns an error if nobody can do what v says.
func (v *Verdict) Check() error {
	if v.Calls == "" {
		v.Calls = CallsAsk
	}
	if v.Calls != CallsAsk && v.Calls != CallsRun {
		return fmt.Errorf("calls: %q is neither %s (they are not made: probes or people settle them) nor %s (they are made)", v.Calls, CallsAsk, CallsRun)
	}
	slices.Sort(v.Runs)
	v.Runs = slices.Compact(v.Runs)
	return nil
}

// Text says in words what it says of calls.
func (v Verdict) Text() string {
	text := "calls that must not happen twice and that the log may have forgotten are not made: probes or people settle them"
	if v.Calls == CallsRun {
		text = "calls that the log may have forgotten are made"
	}
	if v.Runs != nil {
		text += ", of " + plural(len(v.Runs), "run", "runs") + ": " + strings.Join(v.Runs, ", ")
	}
	return text
}

// accept notes a verdict on a damage, and reports whether it is about it.
func (d *Damage) accept(v Verdict, now time.Time) bool {
	if !d.Accepted.IsZero() || v.Partitions != nil && !slices.Contains(v.Partitions, d.Partition) {
		return false
	}
	if v.Runs == nil {
		d.Accepted, d.AcceptedBy, d.Reason, d.Calls = now, v.By, v.Reason, v.Calls
		return true
	}
	var own []string
	for _, run := range v.Runs {
		if d.open() || d.names(run) {
			own = append(own, run)
		}
	}
	if own != nil {
		d.Choices = append(d.Choices, Choice{Runs: own, Calls: v.Calls, By: v.By, Reason: v.Reason, At: now})
	}
	return own != nil
}

// names reports whether a run is known to be affected.
func (d *Damage) names(run string) bool {
	_, is := slices.BinarySearch(d.Runs, run)
	return is
}

// open reports whether other runs than those that are named may be affected.
func (d *Damage) open() bool { return d.Any || d.Unnamed > 0 }

// thenThere reports whether a run that begins at a sequence, and was submitted at a time, was in the log when the damage was found.
// Sequences begin anew where a stream is made anew, and the clock that found it may differ from the log's.
func (d *Damage) thenThere(first uint64, submitted time.Time) bool {
	return first <= d.Head && submitted.Before(d.Found.Add(clockMargin))
}

const clockMargin = 10 * time.Minute

// affects reports whether a run may be affected. One that is named is, also where it was submitted again: the one before may have
// done something.
func (d *Damage) affects(run string, first uint64, submitted time.Time) bool {
	return d.names(run) || d.open() && d.thenThere(first, submitted)
}

// choice is what somebody has said of a run before the rest was accepted; nil = nothing.
func (d *Damage) choice(run string) *Choice {
	if n := slices.IndexFunc(d.Choices, func(c Choice) bool { return slices.Contains(c.Runs, run) }); n >= 0 {
		return &d.Choices[n]
	}
	return nil
}

// tell is what the run's log has to say of it. Where entries are gone that others stand behind, what it still says is not what was.
func (d *Damage) tell(run string, first uint64, submitted time.Time) steps.Damaged {
	hole := (d.Kind == Missing || d.Kind == Changed) && d.names(run) && d.thenThere(first, submitted)
	return steps.Damaged{Damage: d.ID, What: d.brief(), Found: d.Found, Hole: hole, By: d.AcceptedBy, Reason: d.Reason}
}

// Doubts says what has happened to the log that may concern a run, which begins at a sequence and was submitted at a time: what its own log has to say of it,
// and what nobody has accepted yet.
func (k *Keeper) Doubts(partition int, run string, first uint64, submitted time.Time) (due, open []steps.Damaged) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.found {
		d := &k.found[i]
		if d.Partition != partition || !d.affects(run, first, submitted) {
			continue
		}
		e, calls := d.tell(run, first, submitted), d.Calls
		if c := d.choice(run); c != nil {
			e.By, e.Reason, calls = c.By, c.Reason, c.Calls
		}
		switch {
		case e.Hole, calls == CallsAsk:
			due = append(due, e)
		case calls == "":
			open = append(open, e)
		}
	}
	return due, open
}

// News grows whenever something was found, or somebody has said something about it.
func (k *Keeper) News() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.found {
		n += 1 + len(d.Choices)
		if !d.Accepted.IsZero() {
			n++
		}
	}
	return n
}
