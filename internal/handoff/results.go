package handoff

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// RedriveResult is what became of one item.
type RedriveResult struct {
	ID     string `json:"id"`
	Wave   int    `json:"wave"`             // from 1; 0 = not reached
	Result string `json:"result"`           // a [view.Fate], or waiting, decided, refused, not_reached, uncertain
	Code   string `json:"code,omitempty"`   // of one that was refused: the code of the error ([Code]); again: the same person had decided so before
	Step   string `json:"step,omitempty"`   // where its run stopped again; empty: the run as a whole
	Next   string `json:"next,omitempty"`   // the escalation that asks there
	Detail string `json:"detail,omitempty"` // in words; of one that stopped again, what is asked now
	Was    string `json:"was,omitempty"`    // of a run: the state in which it was chosen
}

// The results of an item that has no [view.Fate] yet.
const (
	ItemRefused    = "refused"
	ItemNotReached = "not_reached"
	ItemWaiting    = "waiting"   // its turn has not come
	ItemDecided    = "decided"   // its fate is told later
	ItemUncertain  = "uncertain" // it was asked for, and no answer came
)

// codeRepeated is the code of an item for which the same person had made the same decision before.
const codeRepeated = "again"

// Words returns the result as people read it; it may contain outside text.
func (r RedriveResult) Words() string {
	switch r.Result {
	case ItemRefused:
		return "left as it was: " + r.Detail
	case ItemNotReached:
		return "not touched"
	case ItemUncertain:
		return "not known: " + r.Detail
	case ItemWaiting:
		return "waits for its turn"
	case ItemDecided:
		return "decided, and at work"
	case string(view.FateUnderWay):
		return "decided, and still under way"
	case string(view.FateBack), string(view.FateOther):
		return r.where() + ": " + r.Detail
	}
	if r.Detail == "" {
		return r.Result
	}
	return r.Result + ": " + r.Detail
}

// where says where its run stopped once more.
func (r RedriveResult) where() string {
	if r.Step == "" {
		return "stopped again"
	}
	return "stopped again at " + r.Step
}

// decided reports whether a decision on the item counts.
func (r RedriveResult) decided() bool {
	return r.Result != ItemRefused && r.Result != ItemNotReached && r.Result != ItemWaiting && r.Result != ItemUncertain
}

var pastVerbs = map[steps.Verb]string{
	steps.Verb(people.Cancel): "cancelled",
	steps.VerbRetry:           "retried", steps.VerbSkip: "skipped", steps.VerbExtend: "extended", steps.VerbFinish: "finished", steps.VerbVerify: "verified", steps.VerbReject: "rejected", steps.VerbAbort: "aborted",
}

// Summary says in one sentence how a redrive went, from what became of its items: "9 skipped, 9 of them stopped again
// at mail: cannot fetch parcel from null; 3 not touched". It may contain outside text.
func Summary(verb people.Action, items []RedriveResult) string {
	decided, rest := 0, tally{}
	fates := tally{}
	for _, r := range items {
		if r.decided() {
			decided++
		}
		switch r.Result {
		case string(view.FateBack), string(view.FateOther):
			step, _, _ := strings.Cut(r.where(), "[") // the items of one step are one line
			fates.add(step, r.Detail)
		case string(view.FateFailed):
			fates.add("ended otherwise", r.Detail)
		case string(view.FateUnderWay):
			fates.add("still under way", "")
		case ItemRefused:
			rest.add(refusals[r.Code], r.Detail)
		case ItemUncertain:
			rest.add("of which it is not known", r.Detail)
		case ItemNotReached:
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

// refusals say why an item was left as it was.
var refusals = map[string]string{
	"": "left as they were", "internal": "left as they were", "forbidden": "refused", "decided": "decided before", codeRepeated: "decided by you before",
	"changed": "not what was shown any more", "claimed": "claimed by somebody else", "no_escalation": "not there any more",
	"no_run": "not there any more", "not_allowed": "where this cannot be decided", "invalid": "where something is missing",
}

// tally counts equal results and keeps the text of the first of each.
type tally []*tallied

type tallied struct {
	what, why string
	n         int
	differ    bool // not all have the same text
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
