package api

import (
	"errors"
	"net/http"

	"belay/internal/access"
	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/runlog"
)

// fault is an error as the API tells it: status, a word for programs, and what happened.
type fault struct {
	status              int
	code, title, detail string
}

func (f fault) Error() string { return f.title + ": " + f.detail }

// refuse answers with what went wrong.
func refuse(w http.ResponseWriter, err error) {
	f, ok := errors.AsType[fault](err)
	if !ok {
		f = faultOf(err)
	}
	problem(w, f)
}

// statuses are the answers to errors that callers can do something about.
var statuses = []struct {
	is     error
	status int
	code   string
	title  string
}{
	{handoff.ErrNoEscalation, http.StatusNotFound, "no_escalation", "No such escalation"},
	{handoff.ErrNoBatch, http.StatusNotFound, "no_redrive", "No such redrive"},
	{runlog.ErrNoRun, http.StatusNotFound, "no_run", "No such run"},
	{runlog.ErrBadID, http.StatusBadRequest, "invalid", "No id of a run"},
	{handoff.ErrForbidden, http.StatusForbidden, "forbidden", "You may not do this"},
	{handoff.ErrDecidedBefore, http.StatusPreconditionFailed, "decided", "Already decided"},
	{handoff.ErrChanged, http.StatusPreconditionFailed, "changed", "It has changed"},
	{handoff.ErrApproved, http.StatusConflict, "approved", "You have approved already"},
	{handoff.ErrClaimed, http.StatusConflict, "claimed", "Somebody else is at it"},
	{handoff.ErrNotAllowed, http.StatusConflict, "not_allowed", "Not possible here"},
	{handoff.ErrInvalid, http.StatusUnprocessableEntity, "invalid", "It does not fit"},
	{runlog.ErrEnded, http.StatusConflict, "ended", "The run is over"},
	{runlog.ErrStray, http.StatusConflict, "stray", "It belongs to no run"},
	{runlog.ErrFrozen, http.StatusConflict, "frozen", "The run is frozen"},
	{bus.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large", "Larger than the NATS server takes"},
	{bus.ErrUncertain, http.StatusServiceUnavailable, "uncertain", "It may have been done; it can be repeated without harm"},
	{bus.ErrFull, http.StatusServiceUnavailable, "full", "The store is full"},
	{bus.ErrUnreachable, http.StatusServiceUnavailable, "unreachable", "NATS cannot be reached"},
}

func faultOf(err error) fault {
	for _, s := range statuses {
		if errors.Is(err, s.is) {
			return fault{s.status, s.code, s.title, err.Error()}
		}
	}
	return fault{http.StatusInternalServerError, "internal", "Something went wrong here", err.Error()}
}

func problem(w http.ResponseWriter, f fault) { access.Problem(w, f.status, f.code, f.title, f.detail) }
