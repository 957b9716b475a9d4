package runlog

import (
	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// junk makes the record of an entry that cannot be read, if it is on a subject of the workers of one tool and does not stop the run: who may
// write there may not stop the runs of others.
func (l *Log) junk(f *Fold, e bus.Entry, rec *steps.Record, why error) bool {
	r, is := junkOf(l.names, f.Run, e, why)
	if !is || f.State.Stops(r) {
		return false
	}
	*rec = r
	return true
}

// junkOf is the record of an entry that cannot be read, or not used; is is false for one that others than the workers of one tool can have
// written.
func junkOf(names wire.Names, run string, e bus.Entry, why error) (rec steps.Record, is bool) {
	tool := toolOf(names, e)
	if tool == "" {
		return rec, false
	}
	j := steps.Junk{Why: why.Error()}
	if _, event, err := Parse(names, e); err == nil { // what it says can be read, and what is in it cannot be used
		_, j.Policy = event.(steps.Objected)
		j.Attempt, j.Newer = reported(event), true
	} else {
		j.Attempt, j.Newer = wire.Unknown(e.Data)
	}
	if a, claim := names.ClaimOf(e.Subject); claim {
		j.Attempt, j.Claim = a, true
	}
	return steps.Record{Seq: e.Seq, Time: e.Time, Run: run, Event: j, Tool: tool}, true
}

func reported(e steps.Event) steps.Attempt {
	a, _ := steps.Reports(e)
	return a
}
