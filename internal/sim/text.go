package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"belay/internal/steps"
)

func short(a steps.Attempt) string { return a.Step + "/" + a.Token() }

func spoken(m steps.StepMessage) string {
	return fmt.Sprintf("%s/%s for %s", m.Tool, m.RungName, short(m.Attempt))
}

// Sentence is an entry of the log as people read it.
func Sentence(e steps.Event) string {
	switch e := e.(type) {
	case steps.Submitted:
		return "submitted" + by(e.By)
	case steps.Started:
		return short(e.Attempt) + " started at " + e.Worker
	case steps.Succeeded:
		return short(e.Attempt) + " succeeded: " + cut(e.Output)
	case steps.Resumable:
		return short(e.Attempt) + " can be gone on with: " + e.Resume.About
	case steps.Failed:
		return short(e.Attempt) + " failed, " + e.Fault.Error() + acted(e.Fault)
	case steps.Claimed:
		if e.Worker == "" {
			return short(e.Attempt) + " claimed by the dispatcher, so that nobody executes it"
		}
		return short(e.Attempt) + " claimed by " + e.Worker
	case steps.Withdrawn:
		return short(e.Attempt) + " withdrawn"
	case steps.Held:
		return short(e.Attempt) + " " + e.Hold.Text()
	case steps.Released:
		return short(e.Attempt) + " released" + by(e.By)
	case steps.Unserved:
		return short(e.Attempt) + ": no worker asks for it"
	case steps.Damaged:
		return "the log has lost something: " + e.What
	case steps.Fired:
		return "the timer is due"
	case steps.Cancelled:
		return "cancelled" + by(e.By)
	case steps.Steered:
		if e.TakeBack > 0 {
			return fmt.Sprintf("turn %d of %s, and all after it, taken back", e.TakeBack, e.Step) + by(e.By)
		}
		return "a message to " + e.Step + by(e.By)
	case steps.Decided:
		return decided(e)
	case steps.Closed:
		return "the run is " + string(e.State)
	}
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "steps."))
}

func decided(e steps.Decided) string {
	text := e.Escalation + ": " + string(e.Verb) + by(e.By)
	if e.Reason != "" {
		text += ", because: " + e.Reason
	}
	return text
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

func acted(f steps.Fault) string {
	if f.MayHaveActed() {
		return " (it may have acted)"
	}
	return ""
}

func cut(raw json.RawMessage) string {
	const most = 60
	if s := string(raw); len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(string(raw[:most]), "") + "..."
}
