package pages

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// span is a length of time as people say it, in the two units that matter: "4m 12s", "1h 05m", "3d 2h".
func span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%dd %dh", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%dh %02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm %02ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

// age is like span, in one unit, for lists.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(max(0, int(d.Seconds()))) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours())/24) + "d"
}

// took is the length of an execution.
func took(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Second:
		return strconv.FormatInt(max(1, d.Milliseconds()), 10) + "ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return span(d)
}

// count says how many there are: "1 try", "4 tries".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// shortID is an id for lists: the end of the run's id, in which runs differ, and the number of the escalation.
func shortID(id string) string {
	run, ok := steps.RunOfEscalation(id)
	if !ok {
		return tail(id)
	}
	return tail(run) + id[len(run):]
}

func tail(run string) string {
	if r := []rune(run); len(r) > 12 {
		return string(r[len(r)-6:])
	}
	return run
}

// what says in the fewest words what an escalation asks, for a list.
func what(v view.Escalation) string {
	subject := cmp.Or(v.Tool, v.Workflow, "the run")
	if aboutDamage(v) {
		return "The log has lost part of run " + tail(v.Run)
	}
	switch v.Kind {
	case steps.KindApproval:
		return subject + " asks for approval"
	case steps.KindUnknown:
		return "Did " + subject + " happen?"
	case steps.KindQuestion:
		return "Question: " + cmp.Or(v.Message, subject)
	case steps.KindLimit:
		return "Agent " + v.Step + " has reached a limit"
	case steps.KindDeadline:
		return cmp.Or(v.Workflow, subject) + " ran out of time"
	case steps.KindDeadLetter:
		return "An entry of run " + tail(v.Run) + " cannot be read"
	}
	return subject + " " + failed(v.Class)
}

// aboutDamage reports whether an escalation asks if a run goes on of which the log has lost something.
func aboutDamage(v view.Escalation) bool {
	return v.Kind == steps.KindFailure && v.Class == steps.Unknown && v.Step == ""
}

// failed says what happened to a tool, by the class of the fault.
func failed(c steps.Class) string {
	if verb := failures[c]; verb != "" {
		return verb
	}
	return "failed"
}

var failures = map[steps.Class]string{
	steps.Timeout: "timed out", steps.RateLimited: "was rate limited", steps.Unavailable: "is unavailable",
	steps.Connection: "cannot be reached", steps.Crashed: "crashed its workers", steps.InvalidOutput: "returned an invalid result",
	steps.InvalidInput: "refused its parameters", steps.Unauthorized: "was refused: bad credentials", steps.Forbidden: "is forbidden",
	steps.NotFound: "found nothing", steps.Conflict: "ran into a conflict", steps.NoWorker: "has no worker",
	steps.BudgetExceeded: "got too large parameters", steps.DeadlineExceeded: "ran out of time", steps.PolicyDenied: "was denied by policy",
}

// sentence says in plain words what happened and what is asked: the first line of a card.
func sentence(d view.Dossier) string {
	if d.State != steps.EscalationOpen {
		return "Closed: " + what(d.Escalation)
	}
	subject := cmp.Or(d.Tool, d.Workflow, "The run")
	if aboutDamage(d.Escalation) {
		return "Part of this run's log is gone. Nothing of it goes on until a person decides."
	}
	switch d.Kind {
	case steps.KindApproval:
		return subject + " needs approval. Nothing has happened yet."
	case steps.KindUnknown:
		return "Nobody knows whether " + subject + " happened. Find out, then decide."
	case steps.KindQuestion:
		if d.Question != nil {
			return cmp.Or(d.Question.Text, d.Message)
		}
		return cmp.Or(d.Message, subject+" asks a question.")
	case steps.KindLimit:
		reached, _ := limitReached(d)
		return reached + ". A person has to decide how it goes on."
	case steps.KindDeadline:
		return subject + " ran out of time. It waits until a person decides."
	case steps.KindDeadLetter:
		return "An entry of this run's log cannot be read. The run is frozen until a person decides."
	}
	return subject + " " + failed(d.Class) + effort(d.Attempts) + ". A person has to decide."
}

// effort says how often it was tried: " after 4 tries on 2 rungs".
func effort(list []view.Attempt) string {
	if len(list) == 0 {
		return ""
	}
	rungs := map[string]bool{}
	for _, a := range list {
		rungs[a.Rung] = true
	}
	return " after " + count(len(list), "try", "tries") + " on " + count(len(rungs), "rung", "rungs")
}

// due is the time left to decide.
type due struct {
	Moment moment // the deadline; empty = there is none
	Left   string
	Then   string
	Level  string // class of the page: never, calm, soon, now or over
}

func dueAt(e view.Escalation, now time.Time) due {
	if e.Deadline == nil {
		return due{Left: "no deadline", Then: "it waits until somebody decides", Level: "never"}
	}
	d := due{Moment: at(*e.Deadline, now), Then: "then " + e.AfterDeadline()}
	left := e.Deadline.Sub(now)
	d.Left = span(left)
	switch {
	case left <= 0:
		d.Left, d.Level = "over", "over"
	case left < 5*time.Minute:
		d.Level = "now"
	case left < 15*time.Minute:
		d.Level = "soon"
	default:
		d.Level = "calm"
	}
	return d
}

// verbWords are the labels of the buttons, and their keys.
var verbWords = map[people.Action]struct{ Label, Key string }{
	people.Approve: {"Approve", "a"},
	people.Reject:  {"Reject", "x"},
	people.Retry:   {"Retry", "t"},
	people.Edit:    {"Edit", "e"},
	people.Answer:  {"Answer", "w"},
	people.Skip:    {"Skip", "s"},
	people.Extend:  {"Give more", "m"},
	people.Finish:  {"Finish now", "f"},
	people.Verify:  {"Verify", "v"},
	people.Abort:   {"Abort", "A"},
	people.Claim:   {"Claim", "c"},
	people.Release: {"Release", "r"},
	people.Assign:  {"Assign", ""},
	people.Snooze:  {"Snooze", "z"},
	people.Note:    {"Note", "n"},
}

// spoken makes text a sentence of its own. If it begins with one of the names, of a tool or a step, that is not
// capitalised.
func spoken(text string, names ...string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	word, _, _ := strings.Cut(text, " ")
	if !slices.Contains(names, word) {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// namesIn returns the names with which a sentence about d may begin.
func namesIn(d view.Dossier) []string {
	names := []string{d.Tool}
	for _, l := range d.Plan {
		names = append(names, l.Step)
	}
	return names
}
