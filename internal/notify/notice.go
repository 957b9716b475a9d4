package notify

import (
	"crypto/sha256"
	"encoding/hex"
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
	Reminder What = "reminder" // it still waits
	Trial    What = "trial"    // nothing happened; somebody tries the channel
)

// Notice is one message to one tier, by each of its channels.
type Notice struct {
	ID       string // the same whenever the same is said, so that who gets it twice can tell
	What     What
	Tier     string
	Channels []string
	At       time.Time

	Groups  int      // how many groups of like items it is about; more than one in a storm
	Count   int      // how many items in all
	Expired int      // and of how many the deadline passed
	IDs     []string // of the oldest few

	Kind, Workflow, Step, Tool, Class string // empty where the items differ
	Message                           string // of the oldest item, from outside
	Summary                           string // what the call in question does; empty where the items differ
	Opened                            time.Time
	Deadline                          time.Time // the first one; zero: none
	OnDeadline                        string

	Told []Sent // to be stored once the notice is on its way
}

// Sent is the record that a tier was told of a group.
type Sent struct {
	Key    string    `json:"key"` // unique, and legal as a key of a bucket
	Notice string    `json:"notice"`
	Group  string    `json:"group"`
	Tier   string    `json:"tier"`
	What   What      `json:"what"`
	At     time.Time `json:"at"`
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
