package injection

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// Call is an attempt that is about to begin, as its worker knows it.
type Call struct {
	Run, Attempt string // Attempt is its whole name, with the run
	Tool, Rung   string
	Probe        bool // it looks whether something happened
	Unsafe       bool // the tool's effects, by the worker's own tools file
	Begun        bool // the log has an earlier start of it
}

// hits reports whether the order is about the call, without its labels: those take a look into the run's log.
func (o *Order) hits(c Call, now time.Time) bool {
	switch {
	case !o.Active(now), o.Tool != c.Tool:
		return false
	case o.Run != "" && o.Run != c.Run:
		return false
	case o.Rung != "" && o.Rung != c.Rung:
		return false
	case o.Rung == "" && c.Probe: // who asks for a failing tool does not ask for a blind one
		return false
	case c.Begun && (o.Kind == Kill || o.Kind == Partition):
		return false // else one order would go through all workers, one after the other
	}
	return o.chosen(c.Attempt)
}

// chosen decides for a share of the attempts, and always the same for one attempt: a redelivery meets what the delivery
// before it met.
func (o *Order) chosen(attempt string) bool {
	if o.Rate >= 1 {
		return true
	}
	sum := sha256.Sum256([]byte(o.ID + "/" + attempt))
	return float64(binary.BigEndian.Uint64(sum[:8])) < o.Rate*math.MaxUint64
}

// labelled reports whether a run has all labels of the order.
func (o *Order) labelled(labels map[string]string) bool {
	for k, v := range o.Labels {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
