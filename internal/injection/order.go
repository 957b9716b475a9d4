package injection

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// Kind is what happens to an attempt that an order hits. The set is closed: see [Kinds].
type Kind string

const (
	Fault     Kind = "fault"     // the call fails with a class
	Slow      Kind = "slow"      // the call comes late, or its answer does
	Kill      Kind = "kill"      // the worker's process dies
	Partition Kind = "partition" // the worker cannot reach NATS for a while
)

// Kinds lists the closed set.
func Kinds() []Kind { return []Kind{Fault, Slow, Kill, Partition} }

// When says on which side of the real call it happens, and so whether the tool acts.
type When string

const (
	Before When = "before" // a fault and a death come in place of the call; a slow call and a partition begin before it
	After  When = "after"  // the tool is called, and what it gives is lost or late
)

// Longest is how long an order may last. The bucket forgets orders after that, whatever they say.
const Longest = 24 * time.Hour

// Order asks for faults on purpose.
type Order struct {
	ID         string            `json:"id"`                    // names it in faults, log lines and commands
	Tool       string            `json:"tool"`                  // hits attempts of this tool
	Rung       string            `json:"rung,omitempty"`        // only of this rung; empty = of every rung, but not of the tool's probe
	Run        string            `json:"run,omitempty"`         // only of this run; empty = of every run
	Labels     map[string]string `json:"labels,omitempty"`      // only of runs with all these labels
	Kind       Kind              `json:"kind"`                  // what happens
	Class      steps.Class       `json:"class,omitempty"`       // of a fault
	RetryAfter steps.Duration    `json:"retry_after,omitempty"` // of a fault: how long the other side would ask to wait
	Acted      When              `json:"acted"`                 // whether the tool is called before it happens
	Delay      steps.Duration    `json:"delay,omitempty"`       // of a slow call and a partition: how long
	Rate       float64           `json:"rate"`                  // the share of attempts, above 0 and at most 1
	Reason     string            `json:"reason,omitempty"`      // why, in the words of whoever asked
	Unsafe     string            `json:"unsafe,omitempty"`      // the tool's name, said a second time: its effects may be unsafe
	By         string            `json:"by"`                    // who asked
	Worker     string            `json:"worker,omitempty"`      // the worker whose settings have it, and which alone injects it; empty = all that allow it
	Made       time.Time         `json:"made"`                  // when
	Until      time.Time         `json:"until"`                 // it hits nothing from then on
}

// NewID makes an order's name.
func NewID() string {
	var raw [4]byte
	rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

// key is where it is kept: many workers may have the same settings.
func (o *Order) key() string {
	if o.Worker == "" {
		return keyPrefix + o.ID
	}
	sum := sha256.Sum256([]byte(o.Worker))
	return keyPrefix + o.ID + "." + hex.EncodeToString(sum[:4])
}

// Active reports whether the order hits anything at a time.
func (o *Order) Active(now time.Time) bool { return now.Before(o.Until) }

// What is the class of a fault, or else the kind: what an attempt gets, in one word.
func (o *Order) What() string {
	if o.Kind == Fault {
		return string(o.Class)
	}
	return string(o.Kind)
}

// Does says in a few words what happens to an attempt.
func (o *Order) Does() string {
	wait := o.Delay.String()
	switch o.Kind {
	case Slow:
		if o.Acted == After {
			return "its answer comes " + wait + " late"
		}
		return "the call begins " + wait + " late"
	case Kill:
		return "its worker dies " + o.side()
	case Partition:
		return "its worker cannot reach NATS for " + wait + ", from " + o.side()
	}
	if o.Acted == After {
		return string(o.Class) + " after the call"
	}
	return string(o.Class) + " in place of the call"
}

func (o *Order) side() string {
	if o.Acted == After {
		return "after the call"
	}
	return "before the call"
}

// Where says in a few words which attempts it is about.
func (o *Order) Where() string {
	words := []string{o.Tool}
	if o.Rung != "" {
		words[0] += "/" + o.Rung
	}
	if o.Run != "" {
		words = append(words, "run "+o.Run)
	}
	for _, k := range slices.Sorted(maps.Keys(o.Labels)) {
		words = append(words, k+"="+o.Labels[k])
	}
	return strings.Join(words, " ")
}

// Share is the rate for people: 20 %.
func (o *Order) Share() string { return strconv.FormatFloat(o.Rate*100, 'g', 6, 64) + " %" }

// label begins every text about what the order does: nobody may take it for a real failure.
func (o *Order) label() string { return fmt.Sprintf("%s%s (%s): ", steps.InjectedBy, o.By, o.ID) }
