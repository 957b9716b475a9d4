package pages

import (
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// rungHistory is what was tried on one rung of one round.
type rungHistory struct {
	Round int
	Rung  string
	Tries []tryView
}

// tryView is one attempt, or several in a row that ended alike.
type tryView struct {
	Number  string // "1", or "2 to 5"
	Count   int
	State   steps.AttemptState
	Class   string
	Reason  string // what its fault is beside its class
	Status  int
	Message string
	Detail  string
	Took    string
	Spent   string // what its model took
	Wait    string
	Worker  string
	Why     string // worth a retry, or not
	Note    string
	Lost    []string // executions that were lost with their workers

	whole string // the whole message; the page may show only its beginning
}

// history groups attempts by round and rung, and puts those in a row that ended alike on one line.
func (r *room) history(list []view.Attempt) []rungHistory {
	var out []rungHistory
	for _, a := range list {
		n := len(out) - 1
		if n < 0 || out[n].Rung != a.Rung || out[n].Round != a.Round {
			out = append(out, rungHistory{Round: a.Round, Rung: a.Rung})
			n++
		}
		out[n].Tries = r.appendTry(out[n].Tries, a)
	}
	return out
}

func (r *room) appendTry(tries []tryView, a view.Attempt) []tryView {
	t := tryView{
		Number: strconv.Itoa(a.Try), Count: 1, State: a.State, Class: string(a.Class), Reason: string(a.Reason), Status: a.Status, whole: a.Message,
		Took: took(time.Duration(a.Took)), Spent: a.Spent(), Worker: a.Worker, Why: reaction(a.Class, a.Reason), Note: strings.Join(notesOf(a), "; "),
	}
	for _, l := range a.Lost {
		t.Lost = append(t.Lost, l.Words())
	}
	if a.Wait > 0 {
		t.Wait = took(time.Duration(a.Wait))
	}
	if n := len(tries) - 1; n >= 0 && tries[n].sameEnd(t) {
		first, _, _ := strings.Cut(tries[n].Number, " ")
		t.Count = tries[n].Count + 1
		t.Number = first + " to " + t.Number
		t.Message, t.Detail = tries[n].Message, tries[n].Detail
		tries[n] = t
		return tries
	}
	t.Message, t.Detail, t.Note = r.said(a.Message), r.said(a.Detail), r.said(t.Note)
	return append(tries, t)
}

func (t tryView) sameEnd(u tryView) bool {
	return len(t.Lost) == 0 && len(u.Lost) == 0 && t.Spent == "" && u.Spent == "" && t.Class != "" && t.Class == u.Class && t.Status == u.Status && t.whole == u.whole && t.State == u.State
}

// notesOf are what is to be said of an attempt beside how it ended.
func notesOf(a view.Attempt) (notes []string) {
	if a.Continues != "" {
		notes = append(notes, "goes on with "+a.Continues)
	}
	if a.Left != "" {
		notes = append(notes, "left "+a.Left)
	}
	if a.Note != "" {
		notes = append(notes, a.Note)
	}
	return notes
}
