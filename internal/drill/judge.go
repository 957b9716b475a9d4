package drill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/sim"
	"belay/internal/steps"
)

// judgement is how a play ended.
type judgement struct {
	Outcome Outcome
	By      string // the rung of a degraded result, or what people were asked
	Why     string // of a bad one
}

// judge says how a play ended.
func (d *Drill) judge(p *play) judgement {
	if wrong, why := p.Wrong(); wrong != sim.Right {
		return judgement{map[sim.Wrong]Outcome{sim.Lost: Lost, sim.Twice: Twice, sim.Stuck: Stuck, sim.Late: Twice, sim.Unapproved: Unapproved}[wrong], "", why}
	}
	if why := p.Stands(); why != "" {
		return judgement{Lost, "", why}
	}
	if p.undoing() != nil && p.State.Status() == steps.RunCancelled {
		return p.endedUndoing(p.target.base)
	}
	return p.ended(d.baseOf(p))
}

// baseOf is the play without the fault.
func (d *Drill) baseOf(p *play) *sim.Played {
	if p.target != nil && p.target.base != nil {
		return p.target.base
	}
	return d.base
}

// ended says how a play ended that is not bad.
func (p *play) ended(base *sim.Played) judgement {
	if what := asked(p.Played, base); what != "" {
		return judgement{Outcome: Person, By: what}
	}
	switch p.State.Status() {
	case steps.RunSucceeded:
		return judgement{Outcome: OK}
	case steps.RunDegraded:
		return judgement{Outcome: Degraded, By: degradedBy(p.State)}
	case steps.RunAborted:
		return judgement{Outcome: Person, By: "abort"}
	}
	for i := range p.State.Units {
		if u := &p.State.Units[i]; u.IsUndo() && u.State() == steps.StepSucceeded {
			return judgement{Outcome: Compensated}
		}
	}
	return judgement{Outcome: Failed, Why: p.State.Reason}
}

// asked is what people were asked in a play that they are not asked in base, without the fault.
func asked(p, base *sim.Played) string {
	usual := map[string]bool{}
	if base != nil {
		for _, id := range base.Asked {
			usual[matterOf(base.State, id)] = true
		}
	}
	for _, id := range p.Asked {
		e := &p.State.Escalations[p.State.FindEscalation(id)]
		if e.State == steps.EscalationSuperseded {
			continue // the outcome came after all, before anybody decided
		}
		if !usual[matterOf(p.State, id)] && (base != nil || e.Kind != steps.KindApproval && e.Kind != steps.KindQuestion) {
			return string(e.Kind)
		}
		if e.State == steps.EscalationOpen || e.State == steps.EscalationExpired {
			return string(e.Kind)
		}
	}
	return ""
}

// matterOf is what an escalation is about; its id depends on what was asked before it. A call of an agent is the same matter in
// whichever turn it is made.
func matterOf(s *steps.State, id string) string {
	e := &s.Escalations[s.FindEscalation(id)]
	about := ""
	if e.Unit != steps.RunUnit {
		u := &s.Units[e.Unit]
		if about = u.ID; u.IsCall() {
			about = s.Units[u.Agent()].ID + " calls " + s.Tool(e.Unit).Name
		}
	}
	return fmt.Sprint(about, " ", e.Kind, " ", e.Tier)
}

// degradedBy are the rungs that gave a result in place of the first one. What is only made of such a result is left out.
func degradedBy(s *steps.State) string {
	var rungs []string
	for i := range s.Units {
		u := &s.Units[i]
		if u.Degraded != nil && u.Rung > 0 && u.Degraded.Rung != "" && !slices.Contains(rungs, u.Degraded.Rung) {
			rungs = append(rungs, u.Degraded.Rung)
		}
	}
	return strings.Join(rungs, ", ")
}

// waitedForPeople is for how long somebody was asked.
func waitedForPeople(p *sim.Played) time.Duration {
	var total time.Duration
	var until time.Time
	for n := range p.State.Escalations {
		e := &p.State.Escalations[n]
		end := e.Ended
		if e.State == steps.EscalationOpen || end.IsZero() {
			continue
		}
		from := e.Opened
		if from.Before(until) {
			from = until
		}
		if end.After(from) {
			total += end.Sub(from)
			until = end
		}
	}
	return total
}

// cutUnit is the plan step of a unit.
func cutUnit(unit string) (step, rest string, derived bool) { return strings.Cut(unit, "~") }

// stepOf is the plan step of a unit; of a compensation, that step's. What undoes a call of an agent stands for itself.
func stepOf(unit string) string {
	step, rest, _ := cutUnit(unit)
	if of, undoes := strings.CutSuffix(unit, undoSuffix); undoes && steps.IsCall(of) {
		return unit
	}
	if rest == "undo" || strings.HasSuffix(rest, undoSuffix) {
		return step + undoSuffix
	}
	return step
}

func isItem(unit string) bool {
	_, rest, ok := cutUnit(unit)
	return ok && !strings.Contains(rest, "undo") && rest[0] != 't' && rest[0] != 's'
}
