package score

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"belay/internal/steps"
	"belay/internal/text"
)

// Cause is one way to fail: attempts of a tool with the same class, reason and message, but for what differs from call to call.
type Cause struct {
	ID      string         `json:"id"` // fingerprint of the next four
	Tool    string         `json:"tool"`
	Class   steps.Class    `json:"class"`
	Reason  steps.Reason   `json:"reason,omitempty"`
	Message string         `json:"message"`        // with # for numbers and ids
	Sample  string         `json:"sample"`         // the last message as it was
	Rung    string         `json:"rung,omitempty"` // of the last one
	Run     string         `json:"run"`            // of the last one
	First   time.Time      `json:"first"`          // when it was first seen
	Last    time.Time      `json:"last"`           // when it was last seen
	Count   int            `json:"count"`          // since it was first seen
	Days    map[string]int `json:"days"`           // by day, in UTC, of the last 30 with any
}

// longestMessage is how much of a message is kept, in bytes.
const longestMessage = 160

// varying are the parts of a message that differ from call to call: ids, addresses, numbers, and what is quoted.
var varying = regexp.MustCompile(`"[^"]*"|'[^' ]*'|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]*[0-9][0-9a-fA-F]{7,}\b|\d+(?:[.:,]\d+)*`)

// normal is a message without what differs from call to call.
func normal(message string) string {
	short := text.Bounded(strings.Join(strings.Fields(message), " "), 4*longestMessage)
	return text.Bounded(varying.ReplaceAllString(short, "#"), longestMessage)
}

func causeOf(c *Change) Cause {
	n := Cause{
		Tool: c.Tool, Class: c.Fault.Class, Reason: c.Fault.Reason, Message: normal(c.Fault.Message),
		Sample: text.Bounded(c.Fault.Message, longestMessage), Rung: c.Rung, Run: c.Run, First: c.At, Last: c.At, Count: 1, Days: map[string]int{day(c.At): 1},
	}
	n.name()
	return n
}

func (c *Cause) name() {
	sum := sha256.Sum256([]byte(c.Tool + "\x00" + string(c.Class) + "\x00" + string(c.Reason) + "\x00" + c.Message))
	c.ID = hex.EncodeToString(sum[:6])
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// join adds what was counted of the same cause later or elsewhere.
func (c *Cause) join(o *Cause) {
	if o.Last.After(c.Last) {
		c.Last, c.Sample, c.Rung, c.Run = o.Last, o.Sample, o.Rung, o.Run
	}
	if o.First.Before(c.First) {
		c.First = o.First
	}
	c.Count += o.Count
	for d, n := range o.Days {
		c.Days[d] += n
	}
}

// Trend is how often it was seen on each of the last days, today last.
func (c *Cause) Trend(now time.Time, days int) []int {
	list := make([]int, days)
	for i := range list {
		list[i] = c.Days[day(now.AddDate(0, 0, i+1-days))]
	}
	return list
}

// causes is a set of them, bounded.
type causes map[string]*Cause

// see counts a fault. Where there is no room for a new cause, what the tool fails with is counted as one, by its class.
func (m causes) see(c *Change) {
	n := causeOf(c)
	if m[n.ID] == nil && len(m) >= mostCauses {
		n.Message, n.Reason = "(other messages)", ""
		if n.name(); m[n.ID] == nil && len(m) >= mostCauses+mostOthers {
			n.Tool, n.Class = Others, "(others)"
			n.name()
		}
	}
	if was := m[n.ID]; was != nil {
		was.join(&n)
		return
	}
	m[n.ID] = &n
}

// forget removes what was not seen for so long that nothing of it is counted any more.
func (m causes) forget(now time.Time) {
	oldest := day(now.Add(-keep))
	for id, c := range m {
		for d := range c.Days {
			if d < oldest {
				delete(c.Days, d)
			}
		}
		if c.Last.Before(now.Add(-keep)) {
			delete(m, id)
		}
	}
}

// sorted lists causes, those that were seen last first.
func sorted(list []Cause) []Cause {
	slices.SortFunc(list, func(a, b Cause) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.ID, b.ID)) })
	return list
}
