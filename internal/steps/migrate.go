package steps

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A migration lets a run that stands on an old plan go on under another one, as another run: that one takes over what is done, so that
// nothing is done twice. Whether it may is proven here, and by playing how the other run begins.

// MigrationWish is what somebody wants of a migration.
type MigrationWish struct {
	Run     string          // id of the run that it is to go on as
	Program *Program        // of the new plan
	Input   json.RawMessage // the whole input for that, checked
	Drop    []string        // steps that are done, and that the new plan may do without
	// Fits says why a value does not fit a JSON Schema.
	Fits func(schema, value json.RawMessage) error
}

// MigrationFate says what becomes of a step in a migration.
type MigrationFate string

const (
	MigrationFits    MigrationFate = "fits"    // it is done, and its result is taken over
	MigrationDiffers MigrationFate = "differs" // it is done, and the new plan would do something else
	MigrationDropped MigrationFate = "dropped" // it is done, and the new plan does without it, as somebody has said
	MigrationMissing MigrationFate = "missing" // it is done, and the new plan does not have it
	MigrationNext    MigrationFate = "next"    // it is not done: it is executed as the new plan says
	MigrationNew     MigrationFate = "new"     // the old plan does not have it
	MigrationGone    MigrationFate = "gone"    // it is not done, and the new plan does not have it
)

// Migration is the proof that what a run has done fits another plan, or why it does not.
type Migration struct {
	Of      string          `json:"of"`                // the run
	To      string          `json:"to"`                // that it goes on as
	Seen    uint64          `json:"seen"`              // sequence of the last record that the proof is of
	Steps   []MigrationStep `json:"steps"`             // of the new plan in its order, and then those that it does not have
	Asked   []string        `json:"asked,omitempty"`   // ids of open questions that are withdrawn, and asked again where the new plan comes to them
	Refused []Obstacle      `json:"refused,omitempty"` // why it is not possible; empty = it is

	next Submitted
}

// MigrationStep is a step of a migration.
type MigrationStep struct {
	Step    string        `json:"step"`              // its id
	Tool    string        `json:"tool"`              // its name
	Fate    MigrationFate `json:"fate"`              // what becomes of it
	Why     string        `json:"why"`               // in words
	State   StepState     `json:"state,omitempty"`   // where it stands; empty: the old plan does not have it
	Differs []string      `json:"differs,omitempty"` // in what the new plan would do something else
}

// Obstacle is what is in the way of a migration.
type Obstacle struct {
	Step string `json:"step,omitempty"` // the unit's id; empty: it is about the run as a whole
	What string `json:"what"`           // what is in the way
	Do   string `json:"do"`             // what to do about it
}

func (o Obstacle) String() string {
	if o.Step == "" {
		return o.What + "; " + o.Do
	}
	return o.Step + ": " + o.What + "; " + o.Do
}

// Next is what the run that goes on is submitted with, but for who wants it.
func (m *Migration) Next() Submitted { return m.next }

// PlanMigration proves that what the run s has done fits another plan, or says what does not.
func PlanMigration(s *State, w MigrationWish) Migration {
	m := &migrating{MigrationWish: w, old: s, kept: make([]bool, len(w.Program.Nodes)), out: Migration{Of: s.Run, To: w.Run, Seen: s.Seq}}
	if m.checkRun(); len(m.out.Refused) > 0 {
		return m.out
	}
	m.checkUnits()
	m.fates()
	m.left()
	m.compare()
	m.order()
	m.play()
	return m.out
}

type migrating struct {
	MigrationWish
	old  *State
	kept []bool // by node of the new plan: it is done
	out  Migration
}

func (m *migrating) refuse(step, what, do string) {
	m.out.Refused = append(m.out.Refused, Obstacle{step, what, do})
}

const (
	doAsk      = "and then ask for the migration again"
	doOwnPlan  = "leave the step in the plan as it was, and give what is to be other to a step of another name behind it"
	doStandsUp = "wait until it is done, " + doAsk
)

// checkRun refuses a run that does not go on, or of which nobody knows how.
func (m *migrating) checkRun() {
	switch st := m.old.Status(); {
	case m.old.GoesOnAs() != "":
		m.refuse("", "run "+m.old.Run+" goes on as "+m.old.GoesOnAs(), "migrate that one")
	case st.Ended():
		m.refuse("", "run "+m.old.Run+" has ended as "+string(st), "only a run that goes on can go on under another plan; `runs replay` does an ended one again")
	case m.old.ending != "":
		m.refuse("", "run "+m.old.Run+" is ending: "+m.old.Reason, "nothing of it goes on")
	case m.old.holed:
		m.refuse("", "the log of run "+m.old.Run+" has lost something", "decide the question about that first, "+doAsk)
	}
	for n := range m.old.Escalations {
		if m.old.Escalations[n].State == EscalationOpen {
			m.out.Asked = append(m.out.Asked, m.old.Escalations[n].ID)
		}
	}
}

// checkUnits refuses what is under way, and what may have happened and is not settled.
func (m *migrating) checkUnits() {
	c := change{State: m.old}
	for i := range m.old.Units {
		if what, do := c.unsettled(i); what != "" {
			m.refuse(m.old.Units[i].ID, what, do)
		}
	}
}

// unsettled says why nobody knows yet what comes of unit i, and what to do about it; empty: it stands still.
func (c *change) unsettled(i int) (what, do string) {
	u := &c.Units[i]
	gate := "hold the run back with `dispatcher gate close --run " + c.Run + " --reason ...`, "
	card := "settle it first, "
	if n := u.question.index(); n >= 0 && c.Escalations[n].State == EscalationOpen {
		card = "decide " + c.Escalations[n].ID + " first, "
	}
	switch {
	case u.Over():
		return "", ""
	case c.Probing(i) && u.phase.out():
		return "its probe looks whether it has happened", "wait until that is settled, " + doAsk
	case u.phase == PhaseRunning, u.phase == PhaseStopping:
		return "attempt " + c.Attempt(i).Token() + " is under way", gate + "wait until it has ended, " + doAsk
	case u.phase.out():
		return "attempt " + c.Attempt(i).Token() + " is in the queue, and may begin at any time", gate + "wait until it is held back, " + doAsk
	case u.phase == PhaseUnknown, u.doubt != 0:
		return "nobody knows whether it has happened", card + doAsk
	case c.stillRunning(i) > 0:
		return "a worker of which nobody hears may still execute it", "wait until " + c.Now.Add(c.stillRunning(i)).UTC().Format(time.RFC3339) + ", " + doAsk
	case c.goesOn(i):
		return "its call has begun, and goes on from what it has left", card + doAsk
	case c.mayHaveHappened(i) && c.Tool(i).Effects.Unsafe():
		return "an attempt of it may have acted", "give its result, or skip it, " + doAsk
	}
	return "", ""
}

// goesOn reports whether the next attempt of unit i goes on with what another one has left.
func (c *change) goesOn(i int) bool {
	u := &c.Units[i]
	if n := u.question.index(); n >= 0 && c.Escalations[n].State == EscalationOpen && c.Escalations[n].Resume != nil {
		return true
	}
	if u.onward != nil {
		return true
	}
	return len(u.Attempts) > 0 && !u.Current().spent && (u.Current().Continues != nil || u.Current().Left != nil)
}

// fates finds what becomes of each step of the new plan.
func (m *migrating) fates() {
	for j := range m.Program.Nodes {
		n := &m.Program.Nodes[j]
		is := MigrationStep{Step: n.Step.ID, Tool: n.Tool.Name, Fate: MigrationNew, Why: "it is new"}
		if k, known := m.old.Program.index[n.Step.ID]; known {
			u := &m.old.Units[k]
			is.State = u.State()
			if m.kept[j] = is.State.Done(); m.kept[j] {
				is.Fate, is.Why = MigrationFits, m.old.howTakenOver(k)
			} else {
				is.Fate, is.Why = MigrationNext, m.whyNext(k)
			}
			m.checkBegun(k, j)
		}
		m.out.Steps = append(m.out.Steps, is)
	}
}

// whyNext says how far plan step k, which is not done, has come.
func (m *migrating) whyNext(k int) string {
	items := m.old.Items(k)
	switch u := &m.old.Units[k]; {
	case len(items) > 0:
	case u.Approved():
		return "it is " + string(u.State()) + "; its approval is for a call of the old run, and it is asked for again"
	default:
		return "it is " + string(u.State())
	}
	done := 0
	for i := range items {
		if items[i].State().Done() {
			done++
		}
	}
	return strconv.Itoa(done) + " of " + strconv.Itoa(len(items)) + " items are done, and taken over"
}

// checkBegun refuses to lose what has been done of plan step k, which is node j of the new plan.
func (m *migrating) checkBegun(k, j int) {
	u := &m.old.Units[k]
	if u.State().Done() {
		return
	}
	id := u.ID
	for n := range m.old.denials {
		if d := &m.old.denials[n]; d.ReopenedBy == "" && d.node == k {
			m.refuse(id, d.By+" has rejected a call of it ("+d.Escalation+"), which the new run would not know", doStandsUp)
		}
	}
	switch {
	case u.loop != nil && slices.ContainsFunc(m.old.Units, func(of Unit) bool { return of.ofAgent() && of.Node == k && begun(&of) }):
		m.refuse(id, "the agent is at work, and would begin anew: what the new run takes over are results of steps, not turns and calls of an agent", doStandsUp)
	case u.fan != nil && slices.ContainsFunc(m.old.Items(k), func(it Unit) bool { return it.State().Done() }):
		for _, what := range m.differs(k, j) {
			m.refuse(id, "items of it are done, and "+what, doOwnPlan)
		}
	}
}

// begun reports whether anybody has had an attempt of the unit in hand.
func begun(u *Unit) bool {
	return slices.ContainsFunc(u.Attempts, func(rec AttemptRecord) bool { return rec.State != AttemptWithdrawn })
}

// left says what becomes of the steps that the new plan does not have, and refuses to drop what must not be.
func (m *migrating) left() {
	for k := range m.old.Program.Nodes {
		id := m.old.Units[k].ID
		if _, stays := m.Program.index[id]; stays {
			continue
		}
		is := MigrationStep{Step: id, Tool: m.old.Program.Nodes[k].Tool.Name, State: m.old.Units[k].State()}
		switch done := is.State.Done(); {
		case done && slices.Contains(m.Drop, id):
			is.Fate, is.Why = MigrationDropped, "it is done, and the new plan does without it"
			if by := m.old.undoneBy(k); by != "" {
				m.refuse(id, "it cannot be dropped: "+by+" undoes it where the run ends otherwise than planned, and nothing would any more", "keep it in the plan")
			}
		case done:
			is.Fate, is.Why = MigrationMissing, "it is done, and the new plan does not have it"
			m.refuse(id, is.Why, "keep it in the plan, or say with `--drop "+id+"` that the run may go on without it")
		default:
			is.Fate, is.Why = MigrationGone, "it is "+string(is.State)+", and the new plan does not have it"
			m.checkGone(k)
		}
		m.out.Steps = append(m.out.Steps, is)
	}
	for _, id := range m.Drop {
		_, was := m.old.Program.index[id]
		_, is := m.Program.index[id]
		switch {
		case is:
			m.refuse(id, "it is to be dropped, and the new plan has it", "leave it out of the plan, or leave out --drop")
		case !was:
			m.refuse(id, "it is to be dropped, and the run does not have it", "name a step that is done: "+strings.Join(m.old.doneSteps(), ", "))
		case !m.old.Units[m.old.Program.index[id]].State().Done():
			m.refuse(id, "it is to be dropped, and is not done", "leave out --drop: the new plan need not have it")
		}
	}
}

// checkGone refuses to give up what may have acted, or has in part, of plan step k.
func (m *migrating) checkGone(k int) {
	for i := range m.old.Units {
		u := &m.old.Units[i]
		switch {
		case u.Node != k:
		case m.old.was(i) == ReplayMade:
			m.refuse(u.ID, "it is done, and the new plan does not have "+stepOf(u.ID), "keep the step in the plan")
		case !u.Over() && m.old.mayHaveHappened(i) && !m.old.Tool(i).Effects.Unsafe():
			m.refuse(u.ID, "an attempt of it may have acted, and the new plan does not have "+stepOf(u.ID), "keep the step in the plan, or give its result first")
		}
	}
}

func (s *State) doneSteps() (list []string) {
	for k := range s.Program.Nodes {
		if s.Units[k].State().Done() {
			list = append(list, s.Units[k].ID)
		}
	}
	return list
}

// undoneBy names the tool that undoes what plan step k, an item or a call of it did; empty: nothing does.
func (s *State) undoneBy(k int) string {
	c := change{State: s}
	for i := range s.Units {
		u := &s.Units[i]
		if u.Node != k || u.phase != PhaseSucceeded && !s.mayHaveHappened(i) || !c.mayBeUndone(u) {
			continue
		}
		if by := s.undoing(i); by != nil {
			return by.Tool.Name
		}
	}
	return ""
}

// compare refuses to take over what the new plan would do in another way, or from something else.
func (m *migrating) compare() {
	for j := range m.kept {
		if !m.kept[j] {
			continue
		}
		is := &m.out.Steps[j]
		is.Differs = m.differs(m.old.Program.index[is.Step], j)
		for _, what := range is.Differs {
			is.Fate = MigrationDiffers
			m.refuse(is.Step, "it is done, and "+what, doOwnPlan)
		}
	}
}

// differs says in what node j of the new plan would do something else than plan step k has done.
func (m *migrating) differs(k, j int) (list []string) {
	was, is := &m.old.Program.Nodes[k], &m.Program.Nodes[j]
	switch {
	case was.Tool.Name != is.Tool.Name:
		return []string{"the new plan calls " + is.Tool.Name + " in place of " + was.Tool.Name}
	case (was.Agent != nil) != (is.Agent != nil), (was.ForEach != nil) != (is.ForEach != nil):
		return []string{"the new plan makes another kind of step of it"}
	case was.Tool.Effects != is.Tool.Effects:
		list = append(list, "its tool "+is.Tool.Name+" has "+string(is.Tool.Effects)+" effects in place of "+string(was.Tool.Effects))
	}
	before, after := m.old.madeOf(k), m.taking().madeOf(j)
	for _, name := range slices.Sorted(maps.Keys(joined(before, after))) {
		if before[name] != after[name] {
			list = append(list, name+" would be "+cut(orElse(after[name], "nothing"), 200)+", and "+cut(orElse(before[name], "nothing"), 200)+" before")
		}
	}
	return append(list, m.misfits(k, j)...)
}

// taking is the old run with the new plan, and with the results that are taken over: what expressions read.
func (m *migrating) taking() *State {
	now := &State{Run: m.old.Run, Program: m.Program, Input: m.Input, Labels: m.old.Labels, epoch: Epoch, Units: make([]Unit, len(m.Program.Nodes))}
	for j := range now.Units {
		u := &now.Units[j]
		*u = Unit{ID: m.Program.Nodes[j].Step.ID, Node: j}
		k, known := m.old.Program.index[u.ID]
		if !known || !m.old.Units[k].State().Done() {
			continue
		}
		u.takeOver(m.carried(k))
		if u.phase = PhaseSucceeded; m.old.Units[k].phase == PhaseSkipped {
			u.phase = PhaseSkipped
		}
	}
	return now
}

// misfits says why the result of plan step k is none of node j.
func (m *migrating) misfits(k, j int) (list []string) {
	was, is := &m.old.Program.Nodes[k], &m.Program.Nodes[j]
	schema, before := is.Tool.OutputSchema, was.Tool.OutputSchema
	if is.Agent != nil {
		schema, before = is.Step.Agent.OutputSchema, was.Step.Agent.OutputSchema
		if m.old.losesUndo(k) {
			list = append(list, "what undoes the calls of its agent would be lost")
		}
	}
	if len(schema) == 0 || written(schema, nil) == written(before, nil) || m.Fits == nil {
		return list
	}
	for i := range m.old.Units {
		u := &m.old.Units[i]
		if u.Node != k || u.phase != PhaseSucceeded || u.fan != nil || u.ofAgent() || u.origin.kind == undo {
			continue
		}
		if err := m.Fits(schema, u.Output); err != nil {
			list = append(list, "the result of "+u.ID+" does not fit the new output schema: "+cut(err.Error(), 200))
		}
	}
	return list
}

// losesUndo reports whether calls of agent k would be undone one by one: a run that takes the agent over knows none of them.
func (s *State) losesUndo(k int) bool {
	for i := range s.Units {
		if u := &s.Units[i]; u.Node == k && u.origin.kind == agentCall && (u.phase == PhaseSucceeded || s.mayHaveHappened(i)) && s.undone(i) {
			return true
		}
	}
	return false
}

// order refuses a step that the new plan has before one that is done.
func (m *migrating) order() {
	for j := range m.kept {
		for _, need := range m.Program.Nodes[j].Needs {
			if m.kept[j] && !m.kept[need] {
				before, done := m.Program.Nodes[need].Step.ID, m.Program.Nodes[j].Step.ID
				m.refuse(before, "it is not done, and the new plan has it before "+done+", which is", "put it behind "+done+", or say in the needs of "+done+" that it does not need "+before)
			}
		}
	}
}
