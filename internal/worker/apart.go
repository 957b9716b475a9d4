package worker

import (
	"time"

	"belay/internal/steps"
)

// room waits until the attempt may begin: for a slot, and for its turn or that nobody has one.
func (j *job) room() bool {
	if of := j.handling.Lane(); of != "" && !j.seated {
		return j.apart(of)
	}
	if !j.enter(j.slots) {
		return false
	}
	return j.lane.join() || j.blocked()
}

// blocked waits until the attempt may begin beside others; it keeps no slot meanwhile.
func (j *job) blocked() bool {
	j.lane.block(1)
	defer j.lane.block(-1)
	until := time.Now().Add(blockedFor)
	for {
		<-j.slots
		if !j.lane.opened(j, until) || !j.enter(j.slots) {
			return false
		}
		if j.lane.join() {
			return true
		}
	}
}

// apart takes a turn for an attempt of the crash lane.
func (j *job) apart(of steps.Lane) bool {
	j.m.Lane = of
	j.Logger.Info("an attempt is in the crash lane, because it may have ended a worker: it waits until nothing else is executed here", "attempt", j.name(), "lane", of)
	if !j.handling.OnPurpose() { // which is what the run has to say of it
		j.logEvent(steps.Progress{Attempt: j.m.Attempt, Worker: j.worker, Message: inLane[of]})
	}
	if j.turn = j.lane.take(j, of); j.turn == nil {
		return false
	}
	if j.enter(j.slots) {
		return true
	}
	j.turn.leave()
	return false
}

// inLane is what the run says of an attempt in the crash lane.
var inLane = map[steps.Lane]string{
	steps.LaneApart: "in the crash lane: a worker was lost while executing it, so nothing else begins beside it for a moment",
	steps.LaneAlone: "in the crash lane: workers were lost while executing it, so its worker executes nothing else meanwhile",
}

// giveRoom ends what room began.
func (j *job) giveRoom() {
	<-j.slots
	if j.turn != nil {
		j.turn.leave()
		return
	}
	j.lane.leave()
}

// company is what else this worker executes, as it is said when the attempt starts. What another program executes has none here,
// and nothing is said of it.
func (j *job) company() steps.Company {
	switch {
	case j.seated:
		return ""
	case j.turn == nil:
		return steps.CompanyBeside
	}
	return j.turn.company
}

// started is the event that the attempt starts.
func (j *job) started() steps.Started {
	return steps.Started{Attempt: j.m.Attempt, Worker: j.worker, Company: j.company()}
}

// opens lets others begin beside an attempt that was lost only once, after it has been executed for a moment.
func (j *job) opens() (ended func()) {
	if j.turn == nil || j.turn.of != steps.LaneApart {
		return func() {}
	}
	said := make(chan struct{})
	t := time.AfterFunc(steps.ApartFor, func() {
		defer close(said)
		if j.hasCompany() {
			j.turn.end()
		}
	})
	return func() {
		if !t.Stop() {
			<-said // a start behind the outcome would be one that came to no end
		}
	}
}

// hasCompany stores that the attempt is not alone any more, before it is not. If that cannot be stored, nothing begins beside it.
func (j *job) hasCompany() bool {
	if j.handling.Start == "" || j.turn.company == steps.CompanyBeside {
		return true
	}
	e := j.started()
	e.Delivery, e.Company = j.handling.Start, steps.CompanyBeside
	if _, err := j.append(e); err != nil {
		j.Logger.Warn("cannot store that an attempt of the crash lane is not alone any more, so nothing begins beside it", "attempt", j.name(), "error", err)
		return false
	}
	return true
}
