package api

import (
	"context"
	"net/http"
	"time"

	"belay/internal/score"
)

// Score says how it goes.
type Score interface {
	HowItGoes(ctx context.Context, window time.Duration) (score.Report, error)
	Causes(ctx context.Context, f score.CauseFilter) ([]score.CauseReport, error)
}

func (a *api) slo(w http.ResponseWriter, r *http.Request) {
	window, err := score.ParseWindow(r.URL.Query().Get("window"))
	if err != nil {
		problem(w, fault{http.StatusBadRequest, "invalid", "this is not a window", "window " + err.Error()})
		return
	}
	report, err := a.Score.HowItGoes(r.Context(), window)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, report)
}

func (a *api) causes(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := score.CauseFilter{Tool: q.Get("tool"), New: q.Get("new") == "true"}
	if s := q.Get("since"); s != "" {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			problem(w, fault{http.StatusBadRequest, "invalid", "this is not a time", "since must be a time like 2026-01-31T08:00:00Z"})
			return
		}
		f.Since = at
	}
	all, err := a.Score.Causes(r.Context(), f)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, list[score.CauseReport]{Items: all, Total: len(all)})
}
