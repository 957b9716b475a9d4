package audit

import (
	"context"
	"crypto/ed25519"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Testimony is the checkpoints that somebody keeps who does not write the trail: a worker.
type Testimony struct {
	By          string   // its name
	Checkpoints []string // as they were signed
}

// How often those who keep checkpoints are asked: often at first, because they connect at about the same time.
const (
	askOften  = 3 * time.Second
	askSeldom = time.Minute
	oftenFor  = time.Minute
)

// Most that counts of what one says: whoever may be a worker may say anything.
const (
	mostShown    = 16
	largestShown = 64 << 10
)

// shown asks those who keep checkpoints, where it is time, and keeps what they have proven. What one says proves something because
// a dispatcher has signed it.
type shown struct {
	began, asked time.Time
	proven       []string // of the newest answers, those that count
	fresh        bool     // the trail was not compared with them yet
	unproven     string   // of which was said last that its key is not known
}

// ask is called before the trail is read: what was signed before that must be in it.
func (r *Recorder) ask(ctx context.Context) error {
	if r.Witnesses == nil || r.Unrevoked == nil || !r.shown.due(time.Now(), r.signs.compared) {
		return nil
	}
	keys, err := r.Unrevoked(ctx)
	if err != nil {
		return err
	}
	all, err := r.Witnesses(ctx)
	if err != nil {
		r.Logger.Debug("cannot ask workers which checkpoints they keep", "error", err)
		return nil
	}
	h := &r.shown
	h.asked, h.proven, h.fresh = time.Now(), nil, true
	for _, one := range within(all) {
		if r.proves(one, keys) {
			h.proven = append(h.proven, one.checkpoint)
		}
	}
	return nil
}

func (h *shown) due(now time.Time, compared bool) bool {
	if h.began.IsZero() {
		h.began = now
	}
	every := askSeldom
	if !compared || now.Sub(h.began) < oftenFor {
		every = askOften
	}
	return now.Sub(h.asked) >= every
}

type testified struct{ by, checkpoint string }

// within are the different checkpoints that are kept, as far as the bounds allow.
func within(all []Testimony) (list []testified) {
	seen := map[string]bool{}
	for _, one := range all {
		for _, text := range one.Checkpoints[:min(len(one.Checkpoints), mostShown)] {
			if seen[text] || len(text) > largestShown {
				continue
			}
			seen[text] = true
			list = append(list, testified{one.By, text})
		}
	}
	return list
}

// proves reports whether one of the keys has signed it. Of a checkpoint of this trail by a key that is not among them people are told:
// the key may have been removed together with the trail.
func (r *Recorder) proves(h testified, keys []ed25519.PublicKey) bool {
	if sizeOf(Origin(r.Bus.Names().Prefix), h.checkpoint) == 0 {
		return false
	}
	if _, err := note.Open([]byte(h.checkpoint), verifiers(keys)); err == nil {
		return true
	}
	if r.shown.unproven != h.checkpoint {
		r.shown.unproven = h.checkpoint
		r.Logger.Warn("a worker keeps a checkpoint of the audit trail that no published key has signed, so that it proves nothing here; if the keys were deleted too, compare by hand: dispatcher audit verify --trust FILE --checkpoint FILE, with the worker's files beside its pinned keys",
			"worker", h.by)
	}
	return false
}
