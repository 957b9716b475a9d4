package steps

// An approval is for one call, and a call that goes on is the same call: the attempt that goes on acts on the approval of the one
// that began it, however long ago that was. Nothing else does: what the run's log says of the attempts before it decides, and only
// the word of the workers that had claimed them counts.

// chain is what the attempts of one round have left to go on with.
type chain struct {
	by    map[Attempt]string // who has claimed it
	left  map[Attempt]bool   // what it left stands
	looks bool               // the last that was left may be gone on with any number of times, so that attempts after it leave nothing of their own
}

func (ch *chain) note(e Event) {
	switch e := e.(type) {
	case Claimed:
		if ch.by[e.Attempt] == "" {
			ch.by[e.Attempt] = e.Worker
		}
	case Resumable:
		if ch.holds(e.Attempt, e.Worker) && e.Resume.Harmless {
			ch.left[e.Attempt], ch.looks = true, true
		}
	case Failed:
		if !ch.holds(e.Attempt, e.Worker) {
			return
		}
		if e.Spent {
			ch.left, ch.looks = map[Attempt]bool{}, false
		}
		if e.Resume != nil && !e.Resume.Anew {
			ch.left[e.Attempt], ch.looks = true, e.Resume.Harmless
		}
	}
}

func (ch *chain) holds(a Attempt, worker string) bool { return worker != "" && ch.by[a] == worker }

// mayGoOn says why an attempt may not go on under the approvals of its round; empty: it may. Whatever else has acted on them must
// have left something to go on with.
func (u *use) mayGoOn() string {
	left := 0
	for a := range u.chain.left {
		if u.other(a) {
			left++
		}
	}
	switch {
	case left == 0:
		return "the run's log has nothing that it could go on with under this approval"
	case u.done:
		return "the approval is used up: another attempt acts or has acted on it"
	}
	for a := range u.open {
		if !u.chain.left[a] && !u.chain.looks {
			return "the approval is used up: another attempt acts or has acted on it, and has left nothing to go on with"
		}
	}
	return ""
}
