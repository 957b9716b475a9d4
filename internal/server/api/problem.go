package api

import (
	"errors"
	"net/http"

	"belay/internal/bus"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/limits"
	"belay/internal/passkey"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/server/gate"
)

// fault is an error of the API: a status, a code for programs, and what happened.
type fault struct {
	status              int
	code, title, detail string
}

func (f fault) Error() string { return f.title + ": " + f.detail }

// refuse answers with what went wrong.
func refuse(w http.ResponseWriter, err error) {
	if f, list, ok := mistakes(err); ok {
		gate.ProblemWith(w, f.status, f.code, f.title, f.detail, list)
		return
	}
	f, ok := errors.AsType[fault](err)
	if !ok {
		f = faultOf(err)
	}
	problem(w, f)
}

// Refuse answers with what went wrong, as the API does, for whoever lets requests in.
func Refuse(w http.ResponseWriter, err error) { refuse(w, err) }

// statuses are the answers to errors about which callers can do something.
var statuses = []struct {
	is     error
	status int
	code   string
	title  string
}{
	{handoff.ErrNoEscalation, http.StatusNotFound, "no_escalation", "No such escalation"},
	{limits.ErrNone, http.StatusNotFound, "no_limit", "No such limit"},
	{gates.ErrNone, http.StatusNotFound, "no_gate", "No such gate"},
	{gates.ErrDenied, http.StatusForbidden, "forbidden", "You may not do this"},
	{gates.ErrClosed, http.StatusConflict, "closed", "The gate is closed already"},
	{gates.ErrOpen, http.StatusConflict, "open", "The gate is open already"},
	{gates.ErrWrong, http.StatusUnprocessableEntity, "invalid", "It does not fit"},
	{passkey.ErrNone, http.StatusNotFound, "no_passkey", "No such passkey"},
	{schedules.ErrNone, http.StatusNotFound, "no_schedule", "No such schedule"},
	{schedules.ErrDenied, http.StatusForbidden, "forbidden", "You may not do this"},
	{schedules.ErrExists, http.StatusConflict, "taken", "The name is taken"},
	{schedules.ErrPaused, http.StatusConflict, "paused", "The schedule is paused already"},
	{schedules.ErrNotPaused, http.StatusConflict, "not_paused", "The schedule is not paused"},
	{schedules.ErrBusy, http.StatusConflict, "run_open", "The run before is open"},
	{schedules.ErrWrong, http.StatusUnprocessableEntity, "invalid", "It does not fit"},
	{handoff.ErrNoRedrive, http.StatusNotFound, "no_redrive", "No such redrive"},
	{runlog.ErrNoRun, http.StatusNotFound, "no_run", "No such run"},
	{runlog.ErrNoPlace, http.StatusBadRequest, "no_place", "No run to go on behind"},
	{runlog.ErrBadStart, http.StatusUnprocessableEntity, "invalid", "A run cannot begin then"},
	{runlog.ErrBadInput, http.StatusUnprocessableEntity, "invalid_input", "The input is not valid"},
	{runlog.ErrBadID, http.StatusBadRequest, "invalid", "Not the id of a run"},
	{handoff.ErrPasskey, http.StatusForbidden, "passkey", "It takes a passkey"},
	{handoff.ErrSignIn, http.StatusForbidden, "sign_in", "Sign in first"},
	{people.ErrForbidden, http.StatusForbidden, "forbidden", "You may not do this"},
	{handoff.ErrUnrecorded, http.StatusServiceUnavailable, "unrecorded", "The audit trail is behind"},
	{handoff.ErrDecidedBefore, http.StatusPreconditionFailed, "decided", "Already decided"},
	{handoff.ErrChanged, http.StatusPreconditionFailed, "changed", "It has changed"},
	{handoff.ErrApproved, http.StatusConflict, "approved", "You have approved already"},
	{handoff.ErrClaimed, http.StatusConflict, "claimed", "Somebody else has claimed it"},
	{handoff.ErrNotAllowed, http.StatusConflict, "not_allowed", "Not possible here"},
	{handoff.ErrInvalid, http.StatusUnprocessableEntity, "invalid", "It does not fit"},
	{runlog.ErrEnded, http.StatusConflict, "ended", "The run is over"},
	{runlog.ErrNoTurn, http.StatusConflict, "no_turn", "That turn cannot be taken back"},
	{runlog.ErrNoAgent, http.StatusConflict, "no_agent", "No agent reads it"},
	{runlog.ErrInvalid, http.StatusUnprocessableEntity, "invalid", "It cannot be written"},
	{runlog.ErrConflict, http.StatusConflict, "conflict", "Not possible now"},
	{runlog.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large", "Too large for a run"},
	{runlog.ErrStray, http.StatusConflict, "stray", "It belongs to no run"},
	{runlog.ErrFrozen, http.StatusConflict, "frozen", "The run is frozen"},
	{bus.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large", "Larger than the NATS server takes"},
	{bus.ErrUncertain, http.StatusServiceUnavailable, "uncertain", "It may have been done; it can be repeated without harm"},
	{bus.ErrFull, http.StatusServiceUnavailable, "full", "The store is full"},
	{bus.ErrNoWrites, http.StatusServiceUnavailable, "no_writes", "The store takes no writes, and nothing was stored"},
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

func problem(w http.ResponseWriter, f fault) { gate.Problem(w, f.status, f.code, f.title, f.detail) }
