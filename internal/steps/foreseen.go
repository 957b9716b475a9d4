package steps

import "time"

// noted is what is compared to say what has happened.
type noted struct {
	units       []Unit
	out         []bool // by unit: its last attempt had no end
	escalations int
	open        []int // escalations, of which the number is noted
	ending      RunState
}

func (v *seer) note() noted {
	n := noted{units: make([]Unit, len(v.s.Units)), escalations: len(v.s.Escalations), ending: v.s.ending}
	copy(n.units, v.s.Units)
	for _, u := range n.units {
		n.out = append(n.out, len(u.Attempts) > 0 && u.Attempts[len(u.Attempts)-1].Ended.IsZero())
	}
	for k := range v.s.Escalations {
		if v.s.Escalations[k].State == EscalationOpen {
			n.open = append(n.open, k)
		}
	}
	return n
}

// compare tells what has happened since before was noted.
func (v *seer) compare(before noted) {
	v.expired = map[int]bool{}
	for _, n := range before.open {
		if e := &v.s.Escalations[n]; e.State == EscalationExpired {
			v.expired[e.Unit] = true
		}
	}
	for i := range before.units {
		v.unit(i, &before.units[i], before)
	}
	v.whole(before)
	for i := len(before.units); i < len(v.s.Units); i++ {
		v.unit(i, &Unit{}, before)
	}
}

func (v *seer) unit(i int, was *Unit, before noted) {
	if h, ok := v.happened(i, was, before); ok {
		h.Step = v.s.Units[i].ID
		v.say(v.s.Now, h)
	}
}

// whole tells what has happened to the run as a whole.
func (v *seer) whole(before noted) {
	at := v.s.Now
	for n := before.escalations; n < len(v.s.Escalations); n++ {
		if e := &v.s.Escalations[n]; e.Unit == RunUnit {
			v.say(at, Happening{What: HappensAsk, Text: e.Fault.Message + ": a person is asked" + v.until(e)})
		}
	}
	if v.s.ending != before.ending && v.s.ending != "" {
		v.say(at, Happening{What: HappensFail, Text: "the run fails: " + v.s.Reason})
	}
}

// happened says what has happened to unit i: why, and what came of it.
func (v *seer) happened(i int, was *Unit, before noted) (h Happening, ok bool) {
	u := &v.s.Units[i]
	if u.State == was.State && len(u.Attempts) == len(was.Attempts) && u.escalation == was.escalation {
		return h, false
	}
	why := v.why(i, was, before)
	switch {
	case u.escalation > before.escalations && v.s.Escalations[u.escalation-1].State == EscalationOpen:
		return Happening{What: HappensAsk, Text: why + v.askedNow(&v.s.Escalations[u.escalation-1])}, true
	case len(u.Attempts) > len(was.Attempts):
		return v.goesOn(i, was, why), true
	case u.State == StepFailed:
		return Happening{What: HappensFail, Text: why + "it fails"}, true
	case u.State == StepSkipped:
		return Happening{What: HappensSkip, Text: why + "it is skipped"}, true
	case u.State == StepCancelled:
		return Happening{What: HappensChange, Text: why + "it is cancelled"}, true
	case u.State == StepUnknown:
		return Happening{What: HappensChange, Text: why + "nobody knows whether it has acted"}, true
	}
	return h, false
}

// why is what made it happen, as the beginning of a sentence; empty where something else did.
func (v *seer) why(i int, was *Unit, before noted) string {
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
	case rec.Fault.Class == NoWorker:
		return "no worker serves it by then: "
	}
	return "without an outcome by then: "
}

// askedNow says what people are asked by a new escalation.
func (v *seer) askedNow(e *Escalation) string {
	who := "a person is asked"
	if e.Follows != "" {
		who = "it is asked again, the next people"
	}
	return who + v.until(e)
}

func (v *seer) until(e *Escalation) string {
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

// goesOn tells of a new attempt of unit i, the last of those that were made.
func (v *seer) goesOn(i int, was *Unit, why string) Happening {
	u := &v.s.Units[i]
	what, text := HappensStart, "it starts"
	switch _, undoing := v.s.Undo(i); {
	case undoing:
		text = "it is undone"
	case len(was.Attempts) > 0:
		what, text = HappensRung, "it goes on with rung "+v.s.RungName(i)
	}
	switch u.State {
	case StepSucceeded:
		text += ", and is done if that works"
	case StepUnknown:
		text += "; nobody knows whether it has acted"
	}
	return Happening{What: what, Text: why + text}
}
