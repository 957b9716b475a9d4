package stepstest

import (
	"encoding/json"
	"strconv"

	"belay/internal/steps"
)

// leaves adds what an attempt leaves for another one to go on with; false for any other word.
//
//	resumable STEP ATTEMPT WORKER WHAT        it notes what it can be gone on with, which does nothing anew
//	asks-back STEP ATTEMPT WORKER ACTED WHAT TEXT  the other side asks something before it goes on
//	asks-anew STEP ATTEMPT WORKER ACTED WHAT TEXT  the same; the call is made anew then
//	later STEP ATTEMPT WORKER WHAT            the other side wants to be called on again
//	forgotten STEP ATTEMPT WORKER             the other side does not know any more what was left
func (st *Story) leaves(a steps.Attempt, word string, at func(int) string) bool {
	left := func(what string) *steps.Resume {
		return &steps.Resume{Value: json.RawMessage(strconv.Quote(what)), About: what}
	}
	e := steps.Failed{Attempt: a, Worker: at(3)}
	switch word {
	case "resumable":
		r := left(at(4))
		r.Harmless = true
		st.Add(steps.Resumable{Attempt: a, Worker: at(3), Resume: *r})
		return true
	case "asks-back", "asks-anew":
		e.Fault = steps.Fault{Class: steps.NeedsHuman, Acted: steps.Acted(at(4)), Message: at(6)}
		e.Resume, e.Question = left(at(5)), &steps.Question{Text: at(6), Schema: json.RawMessage(`{"type":"object"}`)}
		e.Resume.Anew = word == "asks-anew"
	case "later":
		e.Fault, e.Resume = steps.Fault{Class: steps.Unavailable, Acted: steps.ActedMaybe, Message: "it is busy"}, left(at(4))
	case "forgotten":
		e.Fault, e.Spent = steps.Fault{Class: steps.Unavailable, Acted: steps.ActedMaybe, Message: "it knows of no such task"}, true
	default:
		return false
	}
	st.Add(e)
	return true
}

// onward says what an attempt goes on with, and what it leaves.
func onward(rec *steps.AttemptRecord) (line string) {
	if next := rec.Continues; next != nil {
		line = " goes on with " + next.About
		if next.Answer != nil {
			line += ", answering " + string(next.Answer)
		}
		if next.Declined != "" {
			line += ", declining: " + next.Declined
		}
	}
	if rec.Left != nil {
		line += " left " + rec.Left.About
	}
	return line
}
