package stepstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"belay/internal/steps"
)

// Migration is what somebody wants who lets a run go on as another one, under a plan. A schema is the JSON that a value must be.
func Migration(run string, p *Plan, drop []string) steps.MigrationWish {
	fits := func(schema, value json.RawMessage) error {
		if string(schema) == string(value) {
			return nil
		}
		return errors.New("it must be " + string(schema))
	}
	return steps.MigrationWish{Run: run, Program: p.Program(), Input: json.RawMessage(`{}`), Drop: drop, Fits: fits}
}

// migrate says whether what is done fits the plan; if start is set and nothing is in the way, the run ends, and the story goes on with
// the one that it becomes, whose name is one letter before its own.
func (st *Story) migrate(w []string, start bool) string {
	var drop []string
	for _, o := range w {
		drop = strings.Split(strings.TrimPrefix(o, "drop="), ",")
	}
	m := steps.PlanMigration(st.State, Migration(string(st.Run[0]-1), st.Plan, drop))
	text := migrationText(&m)
	if !start || len(m.Refused) > 0 {
		return text
	}
	st.Add(steps.Migrated{To: m.To, Next: m.Next(), Seen: m.Seen, By: "mia", Reason: "a bug"})
	text += st.Trace()
	next := *steps.Wants(st.State, nil).Next
	st.Add(steps.Closed{State: st.State.Status()})
	text += st.Trace()
	was := st.World
	st.Before = append(st.Before, was.Records...)
	st.World = NewWorld(was.T)
	st.Run, st.Now, st.lines, st.seen = next.To, was.Now, nil, ""
	next.Next.By = next.By
	st.Add(next.Next)
	return text + st.Trace()
}

func migrationText(m *steps.Migration) string {
	var b strings.Builder
	for _, s := range m.Steps {
		fmt.Fprintf(&b, "  %s %s: %s\n", s.Step, s.Fate, s.Why)
	}
	if len(m.Asked) > 0 {
		fmt.Fprintf(&b, "  asked again: %s\n", strings.Join(m.Asked, ", "))
	}
	for _, o := range m.Refused {
		fmt.Fprintf(&b, "  refused: %s\n", o)
	}
	return b.String()
}
