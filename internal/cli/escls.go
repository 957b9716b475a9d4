package cli

import (
	"fmt"
	"slices"
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
)

const escLsHelp = `Lists what waits for a person, the most urgent first: what has a deadline within the hour, then unknown outcomes
(something may have happened, and nobody knows), then later deadlines, then what waits without harm.

On a terminal columns are cut to its width; everywhere else they are whole.`

const nothingWaits = "Nothing waits for a person. A step that no machine can finish shows up here."

// byCause is how open items can be put together.
const byCause = "cause"

// pick keeps what the filter fits.
func (f itemFilter) pick(list []handoff.Item) []handoff.Item {
	return slices.DeleteFunc(list, func(it handoff.Item) bool { return !f.picks(it) })
}

// cause is what open items have in common that are alike.
type cause struct {
	Count       int                  `json:"count"`
	Kind        steps.EscalationKind `json:"kind"`
	Tool        string               `json:"tool"`
	Class       steps.Class          `json:"class"`
	Fingerprint string               `json:"fingerprint"`
	Deadline    *time.Time           `json:"deadline"` // the first of them
	Oldest      time.Time            `json:"oldest"`
	Message     string               `json:"message"` // of the most urgent one
	IDs         []string             `json:"ids"`     // the most urgent first
}

// causesOf puts together what is alike; each cause stands where its most urgent item does.
func causesOf(list []handoff.Item) []cause {
	causes, at := []cause{}, map[string]int{}
	for _, it := range list {
		n, ok := at[it.Fingerprint]
		if !ok {
			n = len(causes)
			at[it.Fingerprint] = n
			causes = append(causes, cause{
				Kind: it.Kind, Tool: it.Tool, Class: it.Class, Fingerprint: it.Fingerprint, Deadline: it.Deadline, Oldest: it.Opened, Message: it.Message,
			})
		}
		causes[n].add(it)
	}
	return causes
}

func (c *cause) add(it handoff.Item) {
	c.Count++
	c.IDs = append(c.IDs, it.ID)
	if it.Opened.Before(c.Oldest) {
		c.Oldest = it.Opened
	}
	if it.Deadline != nil && (c.Deadline == nil || it.Deadline.Before(*c.Deadline)) {
		c.Deadline = it.Deadline
	}
}

func (a *app) listCauses(causes []cause) error {
	if a.json() {
		return a.printJSON(causes)
	}
	if len(causes) == 0 {
		fmt.Fprintln(a.Out, nothingWaits)
		return nil
	}
	var rows [][]any
	for _, c := range causes {
		rows = append(rows, []any{c.Count, c.Kind, a.cell(c.Tool, 16), c.Class, left(c.Deadline), ago(c.Oldest), c.Fingerprint, plain(c.Message)})
	}
	return a.listWhole([]any{"COUNT", "KIND", "TOOL", "CLASS", "DUE", "SINCE", "FINGERPRINT", "WHY"}, rows)
}

// cell is a column's text: cut on a terminal, whole elsewhere.
func (a *app) cell(s string, n int) string {
	if terminal(a.Out) {
		return cut(s, n)
	}
	return s
}

// idCell is the id of an escalation in a list: its end on a terminal, whole elsewhere.
func (a *app) idCell(id string) string {
	if terminal(a.Out) {
		return cutFront(short(id), 16)
	}
	return id
}

// listWhole is [app.list] on a terminal; elsewhere nothing is cut.
func (a *app) listWhole(head []any, rows [][]any) error {
	if terminal(a.Out) {
		return a.list(head, rows)
	}
	return a.table(head, rows)
}
