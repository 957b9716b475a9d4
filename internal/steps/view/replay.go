package view

import (
	"fmt"
	"strings"

	"belay/internal/steps"
	"belay/internal/text"
)

// CallRedone says of a call of another run that a replay makes it again.
func CallRedone(c steps.ReplayCall) string {
	call := c.Tool
	if len(c.Params) > 0 {
		call += " " + text.Cut(text.Line(string(c.Params)), 200)
	}
	was := map[steps.ReplayWas]string{
		steps.ReplayMade:   "was made",
		steps.ReplayMaybe:  "may have been made",
		steps.ReplayUndone: "was made and undone",
	}[c.Was]
	if c.Key == "" {
		return fmt.Sprintf("%s: %s %s by run %s; it is made again, with another key", c.Unit, call, was, c.Run)
	}
	return fmt.Sprintf("%s: %s %s, with the key %s; it is made again, with another key", c.Unit, call, was, c.Key)
}

// Confirmation says what has to be confirmed of a replay, a sentence for each call.
func Confirmation(r *steps.Replay) (list []string) {
	for _, s := range r.Steps {
		for _, c := range s.Calls {
			list = append(list, CallRedone(c))
		}
	}
	return list
}

// StepFate says what becomes of a step in a replay.
func StepFate(s steps.ReplayStep) string {
	return map[steps.ReplayFate]string{
		steps.ReplayTakenOver: "taken over", steps.ReplayRedone: "executed again", steps.ReplayFirst: "executed",
	}[s.Fate]
}

// ReplayedText says which run a run does again, from which steps on, and with how much taken over; empty = none.
func ReplayedText(s *steps.State) string {
	if s.Replay == nil {
		return ""
	}
	return "does " + s.Replay.Run + " again from " + strings.Join(s.Replay.From, ", ") + ", with " + count(s.CarriedOver(), "step", "steps") + " taken over"
}
