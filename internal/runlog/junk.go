package runlog

import (
	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// junk makes the record of an entry that cannot be read, if it is on a subject of the workers of one tool and does not stop the run: who may
// write there may not stop the runs of others.
func (l *Log) junk(f *Fold, e bus.Entry, rec *steps.Record, why error) bool {
	tool := toolOf(l.names, e)
	if tool == "" {
		return false
	}
	j := steps.Junk{Why: why.Error()}
	if _, event, err := Parse(l.names, e); err == nil { // what it says can be read, and what is in it cannot be used
		j.Attempt, j.Newer = reported(event), true
	} else {
		j.Attempt, j.Newer = wire.Unknown(e.Data)
	}
	*rec = steps.Record{Seq: e.Seq, Time: e.Time, Run: f.Run, Event: j, Tool: tool}
	return !f.State.Stops(*rec)
}

func reported(e steps.Event) steps.Attempt {
	a, _ := steps.Reports(e)
	return a
}
