package handoff

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"belay/internal/steps"
)

// RedriveResult is what became of one item.
type RedriveResult struct {
	ID     string `json:"id"`
	Wave   int    `json:"wave"`             // from 1; 0 = not reached
	Result string `json:"result"`           // a [steps.Fate], or waiting, decided, refused, not_reached
	Code   string `json:"code,omitempty"`   // of one that was refused: see [Code]; again: the same person had decided so before
	Step   string `json:"step,omitempty"`   // where its run stopped again; empty: the run as a whole
	Next   string `json:"next,omitempty"`   // the escalation that asks there
	Detail string `json:"detail,omitempty"` // in words; of one that stopped again, what is asked now
}

// What a [RedriveResult] says beside a [steps.Fate].
const (
	RedriveRefused    = "refused"
	RedriveNotReached = "not_reached"
	RedriveWaiting    = "waiting" // its turn has not come
	RedriveDecided    = "decided" // what becomes of it is told later
)

// codeAgain is the code of an item that the same person had decided so before.
const codeAgain = "again"

// Words are the result as people read it; they may hold outside text.
func (r RedriveResult) Words() string {
	switch r.Result {
	case RedriveRefused:
		return "left as it was: " + r.Detail
	case RedriveNotReached:
		return "not touched"
	case RedriveWaiting:
		return "waits for its turn"
	case RedriveDecided:
		return "decided, and at work"
	case string(steps.FateUnderWay):
		return "decided, and still under way"
	case string(steps.FateBack), string(steps.FateOther):
		return r.where() + ": " + r.Detail
	}
	if r.Detail == "" {
		return r.Result
	}
	return r.Result + ": " + r.Detail
}

// where its run stopped again.
func (r RedriveResult) where() string {
	if r.Step == "" {
		return "stopped again"
	}
	return "stopped again at " + r.Step
}

// decided reports whether a decision on the item counts.
func (r RedriveResult) decided() bool {
	return r.Result != RedriveRefused && r.Result != RedriveNotReached && r.Result != RedriveWaiting
}

var pastVerbs = map[steps.Verb]string{
	steps.VerbRetry: "retried", steps.VerbSkip: "skipped", steps.VerbVerify: "verified", steps.VerbReject: "rejected", steps.VerbAbort: "aborted",
}

// Summary says in one sentence how a redrive went, from what became of its items: "9 skipped, 9 of them stopped again at
// mail: cannot fetch parcel from null; 3 not touched". It may hold outside text.
func Summary(verb Action, items []RedriveResult) string {
	decided, rest := 0, tally{}
	fates := tally{}
	for _, r := range items {
		if r.decided() {
			decided++
		}
		switch r.Result {
		case string(steps.FateBack), string(steps.FateOther):
			step, _, _ := strings.Cut(r.where(), "[") // the items of one step are one line
			fates.add(step, r.Detail)
		case string(steps.FateFailed):
			fates.add("ended otherwise", r.Detail)
		case string(steps.FateUnderWay):
			fates.add("still under way", "")
		case RedriveRefused:
			rest.add(refusals[r.Code], r.Detail)
		case RedriveNotReached:
			rest.add("not touched", "")
		}
	}
	text := strconv.Itoa(decided) + " " + pastVerbs[steps.Verb(verb)]
	for _, line := range fates.lines(" of them ") {
		text += ", " + line
	}
	for _, line := range rest.lines(" ") {
		text += "; " + line
	}
	return text
}

// refusals say in words why an item was left as it was.
var refusals = map[string]string{
	"": "left as they were", "internal": "left as they were", "forbidden": "refused", "decided": "decided before", codeAgain: "decided by you before",
	"changed": "not what was shown any more", "claimed": "claimed by somebody else", "no_escalation": "not there any more",
	"not_allowed": "where this cannot be decided", "invalid": "where something is missing",
}

// tally counts alike results, and keeps what the first of each said.
type tally []*tallied

type tallied struct {
	what, why string
	n         int
	differ    bool // not all said the same
}

func (t *tally) add(what, why string) {
	i := slices.IndexFunc(*t, func(k *tallied) bool { return k.what == what })
	if i < 0 {
		*t = append(*t, &tallied{what: what, why: why, n: 1})
		return
	}
	(*t)[i].n++
	(*t)[i].differ = (*t)[i].differ || (*t)[i].why != why
}

func (t tally) lines(between string) []string {
	var all []string
	for _, k := range t {
		line := fmt.Sprint(k.n, between, k.what)
		if k.why != "" {
			line += ": " + k.why
		}
		if k.differ {
			line += ", and others"
		}
		all = append(all, line)
	}
	return all
}
