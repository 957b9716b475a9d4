package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// longestWait is how long one request may wait; to wait longer, send another one.
const longestWait = time.Minute

// waitOf returns how long a request wants to wait; 0 = not at all.
func waitOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > longestWait {
		return 0, fault{http.StatusBadRequest, "invalid", "wait", "wait is a duration like 30s, at most 60s"}
	}
	return d, nil
}

// show answers with a run once it has ended or only a person can move it on. If that takes longer than wait, the status
// is 202 and the run is shown as it is then.
func (a *api) show(w http.ResponseWriter, r *http.Request, run string, status int, wait time.Duration) {
	var s *steps.State
	var err error
	if wait > 0 {
		switch s, err = a.rest(r.Context(), run, wait); {
		case s != nil:
			a.Desk.Open.AwaitOpen(r.Context(), s)
		case err == nil:
			status = http.StatusAccepted
		}
	}
	if s == nil && err == nil {
		s, err = a.Runs.Load(r.Context(), run)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("ETag", `"`+strconv.FormatUint(s.Seq, 10)+`"`)
	reply(w, status, view.Show(s))
}

// released reports whether a run that waits goes on without anybody.
func (a *api) released(ctx context.Context, s *steps.State) bool {
	return a.Released != nil && a.Released(ctx, s)
}

// rest waits until a run has ended or only a person can move it on. It returns nil if that takes longer than d, or if
// the server drains.
func (a *api) rest(ctx context.Context, run string, d time.Duration) (rests *steps.State, err error) {
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err = a.Watch.Follow(limited, run, nil, func(s *steps.State) bool {
		if s.Closed() || s.Status() == steps.RunWaiting && !a.released(ctx, s) {
			rests = s
		}
		return rests == nil
	})
	for _, final := range []error{runlog.ErrNoRun, runlog.ErrBadID, runlog.ErrFrozen} {
		if errors.Is(err, final) {
			return nil, err
		}
	}
	return rests, nil
}
