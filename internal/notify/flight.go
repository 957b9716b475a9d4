package notify

import (
	"sync"
	"time"
)

// How long the channels that have a notice may take before the next one gets it too; and before all have got it, where
// there are many.
const (
	patience    = 4 * time.Second
	allPatience = 10 * time.Second
)

// flight is a notice on its way: on all its channels at once, and on one spare channel after another while none of those
// before has taken it.
type flight struct {
	Notice
	sender   *Sender
	patience time.Duration

	mu     sync.Mutex
	spare  []string
	tried  int             // channels that have got it
	failed map[string]bool // those of them where an attempt has failed
	over   int             // and those where nothing more will be attempted
	took   bool            // one of them has taken it
	timer  *time.Timer
}

func (s *Sender) newFlight(n Notice) *flight {
	each := min(patience, allPatience/time.Duration(max(1, len(n.Spare))))
	return &flight{Notice: n, sender: s, patience: each, spare: n.Spare, failed: map[string]bool{}}
}

// begin gives the notice to all its channels.
func (f *flight) begin() {
	f.mu.Lock()
	f.tried = len(f.Channels)
	if len(f.spare) > 0 {
		f.timer = time.AfterFunc(f.patience, f.takeOver)
	}
	f.mu.Unlock()
	for _, name := range f.Channels {
		f.sender.put(f, name)
	}
}

// attempted notes one attempt, and tells of it. Where it was the last hope, the next channel takes over at once.
func (f *flight) attempted(channel string, o Outcome, err error) {
	f.mu.Lock()
	if o == Delivered {
		f.took = true
		f.stop()
	} else {
		f.failed[channel] = true
	}
	hopeless := !f.took && len(f.failed) >= f.tried
	f.mu.Unlock()
	f.sender.note(f, channel, o, err)
	if hopeless {
		f.takeOver()
	}
	f.tell(channel, o, err)
}

// takeOver gives the notice to the next spare channel, if nobody has it by now.
func (f *flight) takeOver() {
	f.mu.Lock()
	if f.took || len(f.spare) == 0 {
		f.mu.Unlock()
		return
	}
	next := f.spare[0]
	f.spare = f.spare[1:]
	f.tried++
	f.stop()
	if len(f.spare) > 0 {
		f.timer = time.AfterFunc(f.patience, f.takeOver)
	}
	f.mu.Unlock()
	f.sender.log.Warn("no channel has taken a notice so far; the next one takes over", "notice", f.ID, "tier", f.Tier, "next", next, "escalations", f.Count)
	f.sender.put(f, next)
}

// tell reports an attempt, and whether the notice is through with all its channels.
func (f *flight) tell(channel string, o Outcome, err error) {
	f.mu.Lock()
	if o != Failed {
		f.over++
	}
	r := Report{Notice: f.ID, Channel: channel, Outcome: o, Err: err, Over: f.over == f.tried}
	f.mu.Unlock()
	f.sender.reports(r)
}

func (f *flight) stop() {
	if f.timer != nil {
		f.timer.Stop()
	}
}
