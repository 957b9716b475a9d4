package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/score"
)

// What is the occasion of a notice.
type What string

// The occasions, the most urgent first: if several coincide, a notice names the first.
const (
	Expired  What = "expired"  // its deadline passed
	Deadline What = "deadline" // its deadline is near
	Returned What = "returned" // its claim or snooze has ended
	Opened   What = "opened"   // new to this tier
	More     What = "more"     // like others that the tier was notified of and that are still waiting
	Reminder What = "reminder" // it is still waiting
	Spiked   What = "spike"    // something is unusual, see [score.Spike]
	Calmed   What = "calm"     // it is over
	Trial    What = "trial"    // nothing happened; somebody tests the channel
)

// Notice is one message to one tier, sent through each of its channels.
type Notice struct {
	ID       string    // the same if it is sent again, so that receivers recognise repeats
	What     What      // why it is sent now
	Tier     string    // name of the tier that gets it
	Channels []string  // all of them get it at once
	Spare    []string  // those of the other tiers; each gets it in turn until one has delivered it
	At       time.Time // when the policy decided to send it

	Groups  int      // how many groups of items it is about; more than one in a storm
	Count   int      // how many items in all
	Expired int      // of how many the deadline has passed
	Waiting int      // how many are waiting in all, with those of earlier notices
	IDs     []string // of the oldest items

	Kind, Workflow, Step, Tool, Class string    // empty if the items differ
	Message                           string    // of the oldest item; outside text
	Summary                           string    // what the call in question does; empty if the items differ
	Opened                            time.Time // of the oldest item
	Deadline                          time.Time // the first one; zero: none
	OnDeadline                        string    // what happens then; empty if the items differ

	Spike *score.Spike // what is unusual, or was; nil: the notice is about escalations

	Records []Sent // to be stored once the notice has arrived
}

// Sent is the record that a tier was notified of a group, and of which of its items.
type Sent struct {
	Key    string    `json:"key"`             // unique, and valid as the key of a bucket
	Notice string    `json:"notice"`          // its ID
	Group  string    `json:"group"`           // fingerprint of the group, or the item's ID if it is alone
	Tier   string    `json:"tier"`            // name of the tier
	What   What      `json:"what"`            // why it was sent
	At     time.Time `json:"at"`              // of the notice
	Items  []byte    `json:"items,omitempty"` // the marks of the items that were named or counted, concatenated
}

// mark stands for an item in a record. Times would not do: an item that was opened before a notice but listed after it is
// not in the notice.
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
	if len(s.Items) == 0 { // old records have none
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

// name makes one short name of several texts. It has no dot, because a webhook's id must not have one.
func name(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Quote(p))
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:12])
}

// instant formats a time for [name].
func instant(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
