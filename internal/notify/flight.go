package notify

import (
	"sync"
	"time"
)

// How long the channels that have a notice may take before a spare one gets it too, and, if there are many, before all
// spare ones have got it.
const (
	patience    = 4 * time.Second
	allPatience = 10 * time.Second
)

// flight is a notice on its way: on all its channels at once, then on one spare channel after another until one has
// delivered it.
type flight struct {
	Notice
	sender   *Sender
	patience time.Duration

	mu     sync.Mutex
	spare  []string
	tried  int             // channels that were given it
	failed map[string]bool // those where an attempt has failed
	over   int             // how many will attempt nothing more
	took   bool            // one has delivered it
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

// attempted notes and reports one attempt. If no other channel can still deliver the notice, a spare one takes over at once.
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

// takeOver gives the notice to the next spare channel, if it is not delivered yet.
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
	f.sender.logger.Warn("no channel has delivered a notice yet; a spare one takes over", "notice", f.ID, "tier", f.Tier, "next", next, "escalations", f.Count)
	f.sender.put(f, next)
}

// tell reports an attempt, and whether nothing more will be attempted on any channel.
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
