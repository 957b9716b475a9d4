package dispatcher

import (
	"context"
	"fmt"
	"slices"
	"time"

	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/steps"
	"belay/internal/text"
)

const escLsHelp = `Lists what waits for a person, the most urgent first: deadlines within the hour, then unknown outcomes (something may
have happened, and nobody knows), then later deadlines, then everything else.

On a terminal, columns are cut to fit; elsewhere they are complete.`

const escLsExample = `  dispatcher esc ls --mine
  dispatcher esc ls --by cause
  dispatcher esc ls --kind approval --tool payments.refund -o json`

const nothingWaits = "Nothing waits for a person. A step that no machine can finish will be listed here."

// byCause is the one way in which open escalations can be grouped.
const byCause = "cause"

// items are the open escalations that the filter picks, the most urgent first; of a run, those that its log has.
func (s *session) items(ctx context.Context, f itemFilter) (list []handoff.Item, err error) {
	run := ""
	if f.run != "" {
		run, err = s.Runs.Find(ctx, typed(f.run))
	}
	if run != "" && err == nil {
		list, err = s.desk().ItemsOf(ctx, run)
	} else { // of every run, also where it is the end of several ids
		list, err = s.desk().Items(ctx)
	}
	return slices.DeleteFunc(list, func(it handoff.Item) bool { return !f.picks(it) }), err
}

// cause is a group of open escalations that are alike.
type cause struct {
	Count       int                  `json:"count"`
	Kind        steps.EscalationKind `json:"kind"`
	Tool        string               `json:"tool"`
	Class       steps.Class          `json:"class"`
	Fingerprint string               `json:"fingerprint"`
	Deadline    *time.Time           `json:"deadline"` // the earliest of them; nil = none has one
	Oldest      time.Time            `json:"oldest"`
	Message     string               `json:"message"` // of the most urgent one
	IDs         []string             `json:"ids"`     // the most urgent first
}

// causesOf groups escalations that are alike; each group stands where its most urgent one does.
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
	if a.JSON() {
		return a.PrintJSON(causes)
	}
	if len(causes) == 0 {
		fmt.Fprintln(a.Out, nothingWaits)
		return nil
	}
	var rows [][]any
	for _, c := range causes {
		rows = append(rows, []any{c.Count, c.Kind, a.cell(c.Tool, 16), c.Class, left(c.Deadline), cli.Ago(c.Oldest), c.Fingerprint, text.Line(c.Message)})
	}
	return a.listWhole([]any{"COUNT", "KIND", "TOOL", "CLASS", "DUE", "SINCE", "FINGERPRINT", "WHY"}, rows)
}

// cell is the text of a column: cut on a terminal, complete elsewhere.
func (a *app) cell(s string, n int) string {
	if cli.Terminal(a.Out) {
		return text.Cut(s, n)
	}
	return s
}

// idCell is the id of an escalation in a list: its end on a terminal, complete elsewhere.
func (a *app) idCell(id string) string {
	if cli.Terminal(a.Out) {
		return text.CutFront(short(id), 16)
	}
	return id
}

// listWhole is [cli.App.List] on a terminal; elsewhere nothing is cut.
func (a *app) listWhole(head []any, rows [][]any) error {
	if cli.Terminal(a.Out) {
		return a.List(head, rows)
	}
	return a.Table(head, rows)
}
