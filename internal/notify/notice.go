package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is the occasion of a notice.
type What string

// The occasions, the most pressing first: where several come together, the first is the one that is named.
const (
	Expired  What = "expired"  // its deadline passed
	Deadline What = "deadline" // its deadline is near
	Returned What = "returned" // whoever had claimed or snoozed it does not hold it any more
	Opened   What = "opened"   // new to this tier
	More     What = "more"     // like others that the tier was told of, and that still wait
	Reminder What = "reminder" // it still waits
	Trial    What = "trial"    // nothing happened; somebody tries the channel
)

// Notice is one message to one tier, by each of its channels.
type Notice struct {
	ID       string // the same whenever the same is said, so that who gets it twice can tell
	What     What
	Tier     string
	Channels []string // all of them get it at once
	Spare    []string // those of the other tiers, each of which gets it in turn while none before has taken it
	At       time.Time

	Groups  int      // how many groups of like items it is about; more than one in a storm
	Count   int      // how many items in all
	Expired int      // and of how many the deadline passed
	Waiting int      // how many wait in all: like these, those that were told of before among them
	IDs     []string // of the oldest few

	Kind, Workflow, Step, Tool, Class string // empty where the items differ
	Message                           string // of the oldest item, from outside
	Summary                           string // what the call in question does; empty where the items differ
	Opened                            time.Time
	Deadline                          time.Time // the first one; zero: none
	OnDeadline                        string

	Told []Sent // to be stored once the notice is on its way
}

// Sent is the record that a tier was told of a group, and of which of its items.
type Sent struct {
	Key    string    `json:"key"` // unique, and legal as a key of a bucket
	Notice string    `json:"notice"`
	Group  string    `json:"group"`
	Tier   string    `json:"tier"`
	What   What      `json:"what"`
	At     time.Time `json:"at"`
	Items  []byte    `json:"items,omitempty"` // the marks of those that were named or counted, one after the other
}

// mark stands for an item in a record. Times do not do: an item that was opened before a notice, and listed after it, is
// in no notice.
type mark [9]byte

func markOf(id string) mark {
	sum := sha256.Sum256([]byte(id))
	return mark(sum[:len(mark{})])
}

// mostMarks is how many items are in one record, which has to fit into a message.
const mostMarks = 30_000

// Names reports whether a record is about an item: the one with this id, of this fingerprint, opened then.
func (s *Sent) Names(id, fingerprint string, opened time.Time) bool {
	if s.Group != GroupOf(id, fingerprint) {
		return false
	}
	if len(s.Items) == 0 { // records were made without once
		return !s.At.Before(opened)
	}
	return slices.Contains(slices.Collect(s.marks()), markOf(id))
}

func (s *Sent) marks() iter.Seq[mark] {
	return func(yield func(mark) bool) {
		for m := range slices.Chunk(s.Items, len(mark{})) {
			if len(m) == len(mark{}) && !yield(mark(m)) {
				return
			}
		}
	}
}

// name makes one short name of several texts. It has no dot, which a webhook's id must not have.
func name(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Quote(p))
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:12])
}

// instant writes a time for [name].
func instant(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
