package handoff

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Find returns the whole id of the escalation whose id ends in suffix: the end of the run's id, - and the number.
func Find(ctx context.Context, log *runlog.Log, open *dlq.Queue, suffix string) (string, error) {
	part, ok := steps.RunOfEscalation(suffix)
	if !ok {
		if id, err := findOpen(ctx, open, suffix); err != nil || id != "" {
			return id, err
		}
		return "", fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", ErrNoEscalation, suffix)
	}
	run, err := log.Find(ctx, part)
	if errors.Is(err, runlog.ErrNoRun) {
		if id, openErr := findOpen(ctx, open, suffix); openErr != nil || id != "" {
			return id, openErr
		}
	}
	if err != nil {
		return "", fmt.Errorf("look for escalation %s: %w", suffix, err)
	}
	return run + suffix[len(part):], nil
}

// findOpen returns the id of the only open escalation that ends in suffix, whether it belongs to a run or to none;
// empty if there is none.
func findOpen(ctx context.Context, open *dlq.Queue, suffix string) (string, error) {
	all, err := open.IDs(ctx)
	if err != nil {
		return "", err
	}
	found := ""
	for _, v := range all {
		switch {
		case v.ID == suffix:
			return suffix, nil
		case !strings.HasSuffix(v.ID, suffix):
		case found != "":
			return "", fmt.Errorf("%w: %s and %s end in %q: give more of the id", runlog.ErrAmbiguous, found, v.ID, suffix)
		default:
			found = v.ID
		}
	}
	return found, nil
}

// locate reads the run of an escalation and finds the escalation in it.
func locate(ctx context.Context, log *runlog.Log, id string) (s *runlog.Snapshot, n int, err error) {
	run, ok := steps.RunOfEscalation(id)
	if !ok {
		return nil, 0, notAnID(id)
	}
	s, err = log.Open(ctx, run)
	if errors.Is(err, runlog.ErrNoRun) || errors.Is(err, runlog.ErrBadID) {
		return nil, 0, fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	if err != nil {
		return nil, 0, err
	}
	if n = s.State.FindEscalation(id); n < 0 {
		return nil, 0, fmt.Errorf("%w: run %s has %d", ErrNoEscalation, run, len(s.State.Escalations))
	}
	return s, n, nil
}

func notAnID(id string) error {
	return fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", ErrNoEscalation, id)
}
