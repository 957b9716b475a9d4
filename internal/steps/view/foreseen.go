package view

import (
	"time"

	"belay/internal/steps"
)

// noted is what is compared to find out what has happened.
type noted struct {
	units       []steps.Unit
	out         []bool // by unit: its last attempt had no end
	escalations int
	open        []int // escalations, of which the number is noted
	ending      steps.RunState
}

func (v *seer) note() noted {
	n := noted{units: make([]steps.Unit, len(v.s.Units)), escalations: len(v.s.Escalations), open: openEscalations(v.s)}
	n.ending, _, _ = v.s.EndingSince()
	copy(n.units, v.s.Units)
	for _, u := range n.units {
		n.out = append(n.out, len(u.Attempts) > 0 && u.Attempts[len(u.Attempts)-1].Ended.IsZero())
	}
	return n
}

// openEscalations are the indexes of the escalations of s that nobody has decided.
func openEscalations(s *steps.State) (open []int) {
	for n := range s.Escalations {
		if s.Escalations[n].State == steps.EscalationOpen {
			open = append(open, n)
		}
	}
	return open
}

// compare says what has happened since before was noted.
func (v *seer) compare(before noted) {
	v.expired = map[int]bool{}
	for _, n := range before.open {
		if e := &v.s.Escalations[n]; e.State == steps.EscalationExpired {
			v.expired[e.Unit] = true
		}
	}
	for i := range before.units {
		v.unit(i, &before.units[i], before)
	}
	v.whole(before)
	for i := len(before.units); i < len(v.s.Units); i++ {
		v.unit(i, &steps.Unit{}, before)
	}
}

func (v *seer) unit(i int, was *steps.Unit, before noted) {
	if h, ok := v.happened(i, was, before); ok {
		h.Step = v.s.Units[i].ID
		v.say(v.s.Now, h)
	}
}

// whole says what has happened to the run as a whole.
func (v *seer) whole(before noted) {
	at := v.s.Now
	for n := before.escalations; n < len(v.s.Escalations); n++ {
		if e := &v.s.Escalations[n]; e.Unit == steps.RunUnit {
			v.say(at, Happening{What: HappensAsk, Text: e.Fault.Message + ": a person is asked" + v.until(e)})
		}
	}
	if as, _, _ := v.s.EndingSince(); as != before.ending && as != "" {
		v.say(at, Happening{What: HappensFail, Text: "the run fails: " + v.s.Reason})
	}
}

// happened says what has happened to unit i: why, and what came of it.
func (v *seer) happened(i int, was *steps.Unit, before noted) (h Happening, ok bool) {
	u := &v.s.Units[i]
	if u.State() == was.State() && len(u.Attempts) == len(was.Attempts) && u.Escalation() == was.Escalation() {
		return h, false
	}
	why := v.why(i, was, before)
	switch {
	case u.Escalation() >= before.escalations && v.s.Escalations[u.Escalation()].State == steps.EscalationOpen:
		return Happening{What: HappensAsk, Text: why + v.askedNow(&v.s.Escalations[u.Escalation()])}, true
	case len(u.Attempts) > len(was.Attempts):
		return v.goesOn(i, was, why), true
	case u.State() == steps.StepFailed:
		return Happening{What: HappensFail, Text: why + "it fails"}, true
	case u.State() == steps.StepSkipped:
		return Happening{What: HappensSkip, Text: why + "it is skipped"}, true
	case u.State() == steps.StepCancelled:
		return Happening{What: HappensChange, Text: why + "it is cancelled"}, true
	case u.State() == steps.StepUnknown:
		return Happening{What: HappensChange, Text: why + "nobody knows whether it has acted"}, true
	}
	return h, false
}

// why is what made it happen, as the beginning of a sentence; empty where that is not worth saying.
func (v *seer) why(i int, was *steps.Unit, before noted) string {
	if v.expired[i] {
		return "nobody has decided by then: "
	}
	n := len(was.Attempts) - 1
	if n < 0 || !before.out[i] {
		return ""
	}
	switch rec := &v.s.Units[i].Attempts[n]; {
	case rec.Fault == nil:
		return ""
	case rec.Fault.Class == steps.NoWorker:
		return "no worker serves it by then: "
	}
	return "without an outcome by then: "
}

// askedNow says what people are asked by a new escalation.
func (v *seer) askedNow(e *steps.Escalation) string {
	who := "a person is asked"
	if e.Follows != "" {
		who = "the next people are asked"
	}
	return who + v.until(e)
}

func (v *seer) until(e *steps.Escalation) string {
	switch {
	case !e.Deadline.IsZero():
		return ", until " + Clock(e.Deadline, v.o.Now)
	case e.Follows != "":
		return ", without a deadline"
	}
	return ""
}

// Clock writes a time as people say it: the time of the day where that is enough, in UTC.
func Clock(t, now time.Time) string {
	if t, now = t.UTC(), now.UTC(); t.Year() != now.Year() || t.YearDay() != now.YearDay() {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format(time.TimeOnly)
}

// goesOn is about the newest attempt of unit i.
func (v *seer) goesOn(i int, was *steps.Unit, why string) Happening {
	u := &v.s.Units[i]
	what, text := HappensStart, "it starts"
	switch _, undoing := v.s.Undo(i); {
	case undoing:
		text = "it is undone"
	case len(was.Attempts) > 0:
		what, text = HappensRung, "it goes on with rung "+v.s.RungName(i)
	}
	switch u.State() {
	case steps.StepSucceeded:
		text += ", and is done if that works"
	case steps.StepUnknown:
		text += "; nobody knows whether it has acted"
	}
	return Happening{What: what, Text: why + text}
}
