package steps

import (
	"fmt"
	"strings"
	"time"
)

// Lane says what a worker executes beside an attempt: whatever else there is, where it is empty. What may have ended a worker is kept
// apart from everything else: if it does so again, it takes nothing with it, and it is known that nothing else was to blame.
type Lane string

// The crash lane.
const (
	LaneApart Lane = "apart" // nothing, until it has been executed for [ApartFor]: workers are lost for many reasons
	LaneAlone Lane = "alone" // nothing, until it has ended
)

// ApartFor is how long an attempt whose worker was lost once is executed before anything else begins beside it.
const ApartFor = time.Second

// Company says what a worker executes while it executes an attempt. Only if it says that there is something is a loss of the
// worker not put down to the attempt.
type Company string

const (
	CompanyAlone  Company = "alone"  // nothing
	CompanyBeside Company = "beside" // other attempts, or they may begin
)

// historyOf is what the records of a step say, up to the end of the attempt if they have it.
func historyOf(log []Record, d Delivered) (h history, over bool) {
	h.Delivered = d
	for _, r := range log {
		if h.over(r.Event) {
			return h, true
		}
		h.note(r)
	}
	return h, false
}

// lost counts the executions of this step and round that came to no end, and those of them that nothing else can be to blame
// for. One that the log had not heard of counts once another one came to no end either.
func (h *history) lost() (all, blamed int) {
	unheard := 0
	for _, s := range h.starts {
		if s.Company != CompanyBeside {
			blamed++
		}
		if s.Unheard {
			unheard = 1
		}
	}
	return len(h.starts) + unheard, blamed
}

// alone counts the executions that are known to have ended their worker alone.
func (h *history) alone() (n int) {
	for _, s := range h.starts {
		if s.Company == CompanyAlone {
			n++
		}
	}
	return n
}

// Lane is where the attempt in hand is to be executed, by its message and by what was read of its log.
func (h *Handling) Lane() Lane {
	if len(h.log) == 0 || h.StepMessage.Lane == LaneAlone || h.Claimed() {
		return h.StepMessage.Lane
	}
	past, _ := historyOf(h.log, h.Delivered)
	switch n, _ := past.lost(); n {
	case 0:
		return h.StepMessage.Lane
	case 1:
		return LaneApart
	}
	return LaneAlone
}

// OnPurpose reports whether the last thing that was said of the attempt in hand, as read of its log, is that a fault was injected into it.
func (h *Handling) OnPurpose() (is bool) {
	for _, r := range h.log {
		if e, ok := r.Event.(Progress); ok && e.Attempt == h.Attempt {
			is = strings.HasPrefix(e.Message, InjectedBy)
		}
	}
	return is
}

// crashed says in words how often the attempt has ended its worker.
func (h *Handling) crashed() string {
	if h.Claimed() {
		return "the worker that had claimed it is silent"
	}
	past, _ := historyOf(h.log, h.Delivered)
	n, _ := past.lost()
	said := fmt.Sprintf("its worker crashed %d times while executing it", n)
	switch alone := past.alone(); alone {
	case 0:
		return said
	case 1:
		return said + "; it has killed its worker once, alone"
	default:
		return said + fmt.Sprintf("; it has killed its worker %d times, alone", alone)
	}
}

// lane is where the current attempt of unit i is executed: apart from everything else if an earlier one has ended its workers, and
// this one is no mere look or result that is there.
func (s *State) lane(i int) Lane {
	if s.Probing(i) || s.Tool(i).Rung(s.Units[i].Rung).Harmless() {
		return ""
	}
	var lane Lane
	for n := range s.Units[i].Attempts {
		switch rec := &s.Units[i].Attempts[n]; {
		case rec.Fault == nil:
		case rec.Fault.Class == Crashed && (rec.Crashes > 0 || len(rec.Lost) > 0):
			return LaneAlone
		case rec.silent:
			lane = LaneApart
		}
	}
	return lane
}
