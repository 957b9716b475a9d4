package stepstest

import (
	"encoding/json"
	"fmt"
	"strings"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// replay says what would become of each step if the run were done again; if start is set and nothing is in the way, the story
// goes on with that run, whose name is one letter before that of the other.
func (st *Story) replay(w []string, start bool) string {
	words := func(text string) []string { return strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) }
	wish := steps.ReplayWish{Program: st.Plan.Program(), Input: json.RawMessage(`{}`), From: words(w[0])}
	for _, o := range w[1:] {
		wish.Confirmed = words(strings.TrimPrefix(o, "again="))
	}
	r := steps.PlanReplay(st.State, wish)
	text := replayText(&r)
	if !start || len(r.Refused)+len(r.Unconfirmed) > 0 {
		return text
	}
	was := st.World
	st.World = NewWorld(was.T)
	st.Run, st.Now, st.lines, st.seen = string(was.Run[0]-1), was.Now, nil, ""
	st.Add(Replayed(&r, wish))
	return text + st.Trace()
}

// Replayed is the submission of a replay.
func Replayed(r *steps.Replay, w steps.ReplayWish) steps.Submitted {
	return steps.Submitted{Epoch: steps.Epoch, Program: w.Program, Input: w.Input, By: "sue", Replay: r.Says(w.From), Carried: r.TakenOver()}
}

func replayText(r *steps.Replay) string {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %s: %s: %s\n", s.Step, view.StepFate(s), s.Why)
		for _, c := range s.Calls {
			fmt.Fprintf(&b, "    %s\n", view.CallRedone(c))
		}
	}
	for _, id := range r.Gone {
		fmt.Fprintf(&b, "  %s is gone\n", id)
	}
	for _, why := range r.Refused {
		fmt.Fprintf(&b, "  refused: %s\n", why)
	}
	if len(r.Unconfirmed) > 0 {
		fmt.Fprintf(&b, "  unconfirmed: %s\n", strings.Join(r.Unconfirmed, ", "))
	}
	return b.String()
}
