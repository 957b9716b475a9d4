package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"belay/internal/plan"
	"belay/internal/prove"
	"belay/internal/runlog"
)

// atHand is what a server at hand knows beside the documents.
type atHand struct {
	Unserved []string     `json:"unserved"`       // tool/rung that no running worker serves
	Seen     []prove.Seen `json:"seen,omitempty"` // faults that the plan's tools have had, and that led to people
	Runs     int          `json:"runs,omitempty"` // whose logs were read
}

// ask completes what is proved by what a server knows: who serves the tools now, and how they have failed before.
func (a *app) ask(ctx context.Context, list []proved, docs []*plan.Document, seen string) error {
	if _, err := parseTime("seen", seen); err != nil { // before anything is asked
		return err
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	since, err := parseTime("seen", seen)
	if err != nil {
		return err
	}
	workers, err := s.Bus.Workers(ctx)
	if err != nil {
		return err
	}
	var served []string
	for _, w := range workers {
		if !w.Draining {
			served = append(served, w.Serves...)
		}
	}
	tally, runs, err := tallied(ctx, s, since)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].AtHand = &atHand{Unserved: append([]string{}, prove.Served(docs[i], served)...), Seen: tally.Unminded(docs[i]), Runs: runs}
	}
	return nil
}

// mostTallied is how many runs are read, the newest ones.
const mostTallied = 10_000

func tallied(ctx context.Context, s *session, since time.Time) (t prove.Tally, runs int, err error) {
	t = prove.Tally{}
	if since.IsZero() {
		return t, 0, nil
	}
	err = eachRun(ctx, s, runlog.Filter{Since: since}, mostTallied, func(run string) error {
		st, err := s.Runs.Load(ctx, run)
		if errors.Is(err, runlog.ErrFrozen) || errors.Is(err, runlog.ErrNoRun) {
			return nil
		}
		if err == nil {
			runs++
			t.Add(st)
		}
		return err
	})
	return t, runs, err
}

func (a *app) printAtHand(h *atHand) {
	if h == nil {
		return
	}
	if len(h.Unserved) > 0 {
		fmt.Fprintf(a.Out, "\nNo running worker serves %s.\n", strings.Join(h.Unserved, ", "))
	}
	if h.Runs > 0 && len(h.Seen) == 0 {
		fmt.Fprintf(a.Out, "\nIn %d runs no fault of these tools led to people.\n", h.Runs)
	}
	for i, s := range h.Seen {
		if i == 0 {
			fmt.Fprintf(a.Out, "\nSeen in %d runs, and left to people:\n", h.Runs)
		}
		fmt.Fprintln(a.Out, "  "+s.Sentence())
	}
}
