package api

import (
	"errors"
	"net/http"
	"strconv"

	"belay/internal/people"
	"belay/internal/server/gate"
)

// enter lets a request in that waits, and refuses one too many. Call leave when it has ended.
func (a *api) enter(who people.Actor, waiting bool) (leave func(), err error) {
	if !waiting {
		return func() {}, nil
	}
	leave, err = a.Waits.Enter(who)
	switch {
	case errors.Is(err, gate.ErrTooManyOfYours):
		return func() {}, fault{http.StatusTooManyRequests, "too_many_waits", "Too many of your requests wait", "at most " + strconv.Itoa(gate.MostWaitsOf) + " with one token may wait for runs or follow them at a time"}
	case err != nil:
		return func() {}, fault{http.StatusServiceUnavailable, "busy", "Too many requests wait", "at most " + strconv.Itoa(gate.MostWaits) + " may wait here for runs or follow them at a time; ask again, or another dispatcher"}
	}
	return leave, nil
}
