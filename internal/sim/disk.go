package sim

import (
	"slices"
	"time"

	"belay/internal/steps"
)

// A message can be read as soon as the server has it, and is stored once its disk has it. While the disk fails nothing is
// confirmed; then the server is started anew, and what it had not stored is gone, although it could be read.

// How long a sync takes, how long a disk fails, and after what time without an answer a publish is unknown.
const (
	syncTime   = 2 * time.Millisecond
	failsFor   = 7 * time.Second
	unanswered = 2 * time.Second
)

// disk is what the server has stored.
type disk struct {
	stored  int // entries of the log
	failing bool
	life    int // grows with each start
	waiting []waiter
}

type waiter struct {
	n    int // entries
	then func(stored bool)
}

// disks reports whether the play has a disk that may fail; else all is stored at once.
func (p *play) disks() bool { return len(p.DiskFails) > 0 }

// whenStored calls then once the newest entry of the log is stored, or is lost.
func (p *play) whenStored(then func(stored bool)) {
	if !p.disks() {
		then(true)
		return
	}
	p.disk.waiting = append(p.disk.waiting, waiter{len(p.Log), then})
}

// sync stores what the log has now, a moment later.
func (p *play) sync() {
	if !p.disks() || p.disk.failing {
		return
	}
	n, life := len(p.Log), p.disk.life
	p.in(syncTime, func() {
		if p.disk.life == life && !p.disk.failing {
			p.disk.stored = max(p.disk.stored, n)
			p.answer(func(w waiter) bool { return w.n <= n }, true)
		}
	})
}

func (p *play) answer(which func(waiter) bool, stored bool) {
	var answered []waiter
	p.disk.waiting = slices.DeleteFunc(p.disk.waiting, func(w waiter) bool {
		if which(w) {
			answered = append(answered, w)
			return true
		}
		return false
	})
	for _, w := range answered {
		p.in(p.hop(), func() { w.then(stored) })
	}
}

// failDisk begins a time in which nothing is stored.
func (p *play) failDisk() {
	if p.disk.failing || p.closed {
		return
	}
	p.say("server", "its disk fails")
	p.disk.failing = true
	p.in(failsFor, p.restart)
}

// restart starts the server anew with what it has stored. The sequences of what is lost go to other entries.
func (p *play) restart() {
	p.say("server", "is started anew; %d entries are lost", len(p.Log)-p.disk.stored)
	p.disk.failing = false
	p.disk.life++
	p.Restarts++
	p.Log = slices.Clone(p.Log[:p.disk.stored])
	p.truth, p.closed = nil, false
	clear(p.claims)
	for _, rec := range p.Log {
		p.truth, _ = steps.Apply(p.truth, rec)
		switch e := rec.Event.(type) {
		case steps.Claimed:
			p.claims[steps.AttemptName(Run, e.Attempt)] = true
		case steps.Closed:
			p.closed = true
		}
	}
	p.answer(func(waiter) bool { return true }, false)
	p.loseQueue()
}

// surely stores an event, once more where it was lost, and calls then when it is stored.
func (p *play) surely(e steps.Event, then func()) {
	p.append(e)
	p.whenStored(func(stored bool) {
		if stored {
			then()
			return
		}
		p.surely(e, then)
	})
}

// answered calls then with whether the newest entry is stored; without an answer in time that is unknown, and taken for no.
func (p *play) answered(then func(stored bool)) {
	over := false
	once := func(stored bool) {
		if !over {
			over = true
			then(stored)
		}
	}
	p.whenStored(once)
	if p.disks() {
		p.in(unanswered, func() { once(false) })
	}
}
