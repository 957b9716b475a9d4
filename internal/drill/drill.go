package drill

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// Drill is a plan that is drilled.
type Drill struct {
	Doc     *plan.Document
	Tools   *plan.Tools
	Input   json.RawMessage            // an object, with its defaults
	Outputs map[string]json.RawMessage // what tools give, by step or by tool; `<tool>/verify/yes` and `/no` are those of a probe. The others are made up

	broken  sim.Mutant // by tests which show that a drill notices
	made    *samples
	program *steps.Program // that is played
	base    *sim.Played
	undo    []*undoing
}

// Outcome is how a play ended. A higher one is worse.
type Outcome int

// The outcomes. The last four must never be.
const (
	Blank       Outcome = iota // the fault cannot happen there
	OK                         // as without the fault
	Degraded                   // by machine, with a labelled result of lower quality
	Person                     // a person was asked
	Compensated                // the run failed as the plan says, and was undone
	Failed                     // the run failed as the plan says
	Lost                       // an effect that the run knows nothing of, or says that it happened and it did not
	Twice                      // an effect happened more than once
	Stuck                      // the run does not end, and nobody is asked
	Unapproved                 // an effect that needed an approval and had none
)

var outcomeNames = [...]string{"blank", "ok", "degraded", "person", "compensated", "failed", "LOST", "TWICE", "STUCK", "UNAPPROVED"}

func (o Outcome) String() string { return outcomeNames[o] }

// MarshalText writes the name of an outcome.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads one.
func (o *Outcome) UnmarshalText(b []byte) error {
	n := slices.Index(outcomeNames[:], string(b))
	if n < 0 {
		return fmt.Errorf("no outcome of a drill is called %q", b)
	}
	*o = Outcome(n)
	return nil
}

// Bad reports whether it must never be.
func (o Outcome) Bad() bool { return o >= Lost }

// Cell is one target under one fault.
type Cell struct {
	Target  string         `json:"target"`          // `<step>.<rung>`, a question, or the dispatcher
	Fault   string         `json:"fault"`           // its name
	Outcome Outcome        `json:"outcome"`         // of the worst play
	Once    Outcome        `json:"once,omitempty"`  // of the worst play in which the fault comes only once; blank where there is none
	By      string         `json:"by,omitempty"`    // the rung that gave the degraded result, or what the person was asked
	Why     string         `json:"why,omitempty"`   // blank: why it cannot happen; bad: what is wrong
	Plays   int            `json:"plays,omitempty"` // how many
	Took    steps.Duration `json:"took,omitempty"`  // virtual seconds of the longest play
	Calls   int            `json:"calls,omitempty"` // of the tool, in the play with the most
	Cost    float64        `json:"cost,omitempty"`  // of all calls of the dearest play, in the currency of the tools file

	plays  []*play
	onceBy string // as By, of Once
}

// Name is how a cell is asked for: `<target>/<fault>`.
func (c *Cell) Name() string { return c.Target + "/" + c.Fault }

// Report is what came of a drill.
type Report struct {
	Plan    string         `json:"plan"`           // file
	Name    string         `json:"name"`           // of the plan
	Plays   int            `json:"plays"`          // all of them
	Ends    map[string]int `json:"ends"`           // how many plays ended how
	Longest steps.Duration `json:"longest"`        // virtual seconds of the longest play, people's time left out
	Calls   []Dependency   `json:"calls"`          // the most calls in one play, by what they go to
	Cost    float64        `json:"cost,omitempty"` // of the dearest play
	Cells   []*Cell        `json:"cells"`
	Pairs   *Pairs         `json:"pairs,omitempty"`
	// NotDrilled are tools of agents that no play calls.
	NotDrilled []NotDrilled `json:"not_drilled,omitempty"`

	targets []*target
}

// Dependency is something that calls go to.
type Dependency struct {
	Name string `json:"name"`
	Most int    `json:"most"` // calls in one play
	In   string `json:"in"`   // the cell
}

// Prepare makes up what is missing and plays the plan without a fault.
func (d *Drill) Prepare() error {
	var err error
	if d.made, err = d.sample(); err != nil {
		return err
	}
	d.program = d.shortened()
	d.undo = d.undoings()
	base := d.play(nil)
	d.base = base.Played
	return d.throughWithout(base)
}

// Run plays every single fault. [Drill.PrepareUndo] comes before it.
func (d *Drill) Run() *Report {
	r := &Report{Plan: d.Doc.File, Name: d.Doc.Definition.Plan.Name, Ends: map[string]int{}, NotDrilled: d.made.left, targets: d.targets()}
	for _, t := range r.targets {
		for _, f := range faultsOf(t.kind) {
			c := &Cell{Target: t.Name(), Fault: f.name}
			c.plays, c.Why = d.playsOf(t, f)
			r.Cells = append(r.Cells, c)
		}
	}
	d.playAll(r.Cells)
	r.sum()
	return r
}

// playAll plays all plays of the cells, on all cores.
func (d *Drill) playAll(cells []*Cell) {
	var all []*play
	for _, c := range cells {
		all = append(all, c.plays...)
	}
	each(all, func(p *play) { d.perform(p) })
	for _, c := range cells {
		c.judge()
	}
}

// each calls f for all, on all cores.
func each[T any](all []T, f func(T)) {
	next := make(chan T)
	var busy sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for x := range next {
				f(x)
			}
		})
	}
	for _, x := range all {
		next <- x
	}
	close(next)
	busy.Wait()
}

// judge makes the cell of its plays.
func (c *Cell) judge() {
	unreached := c.unreached()
	reached := slices.DeleteFunc(c.plays, func(p *play) bool { return !p.reached && !p.judged.Outcome.Bad() })
	if len(reached) == 0 {
		c.Why = cmp.Or(c.Why, unreached)
		c.plays = nil
		return
	}
	c.plays, c.Plays, c.Why = reached, len(reached), ""
	for _, p := range reached {
		if p.judged.Outcome > c.Outcome {
			c.Outcome, c.By, c.Why = p.judged.Outcome, p.judged.By, p.judged.Why
		}
		if p.once && p.judged.Outcome > c.Once {
			c.Once, c.onceBy = p.judged.Outcome, p.judged.By
		}
		c.Took = max(c.Took, steps.Duration(p.Took))
		c.Calls = max(c.Calls, p.callsOf(p.target))
		c.Cost = max(c.Cost, p.cost)
	}
}

// unreached says why no play comes to the cell, if none does.
func (c *Cell) unreached() string {
	for _, p := range c.plays {
		if u := p.undoing(); u != nil && !u.undone() {
			return u.stays()
		}
	}
	return "no call gets there: a rung above always has a result, or its step is not executed"
}

// sum adds the cells up.
func (r *Report) sum() {
	most := map[string]*Dependency{}
	for _, c := range r.Cells {
		for _, p := range c.plays {
			r.Plays++
			r.Ends[p.judged.Outcome.String()]++
			r.Cost = max(r.Cost, p.cost)
			r.Longest = max(r.Longest, steps.Duration(p.Took-p.waited))
			for name, n := range p.calls {
				if most[name] == nil || most[name].Most < n {
					most[name] = &Dependency{name, n, c.Name()}
				}
			}
		}
	}
	for _, dep := range most {
		r.Calls = append(r.Calls, *dep)
	}
	slices.SortFunc(r.Calls, func(a, b Dependency) int { return cmp.Or(cmp.Compare(b.Most, a.Most), cmp.Compare(a.Name, b.Name)) })
}

// Bad reports whether something happened that must never be.
func (r *Report) Bad() bool {
	return slices.ContainsFunc(r.Cells, func(c *Cell) bool { return c.Outcome.Bad() }) || r.Pairs != nil && r.Pairs.bad()
}

// Find returns the cell of that name; nil if there is none. A fault that is an HTTP status is found by any number.
func (r *Report) Find(name string) *Cell {
	for _, c := range r.Cells {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// unitOf is the unit that a fault of a step hits: the first item of a list.
func unitOf(st *steps.Step) string {
	if st.ForEach != "" {
		return st.ID + "~0"
	}
	return st.ID
}
