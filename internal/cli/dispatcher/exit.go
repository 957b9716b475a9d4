package dispatcher

import (
	"errors"
	"fmt"

	"belay/internal/bus/embedded"
	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// exitOf is the exit code for a run's state.
func exitOf(s steps.RunState) int {
	switch s {
	case steps.RunFailed:
		return cli.ExitRunFailed
	case steps.RunWaiting:
		return cli.ExitWaiting
	case steps.RunMigrated:
		return cli.ExitTemporary // nobody knows yet how it ends: that is said of the run that it goes on as
	case steps.RunAborted, steps.RunCancelled:
		return cli.ExitAborted
	}
	return cli.ExitOK
}

// listed adds to an error about an unknown id where ids are listed.
func listed(err error) error {
	switch {
	case errors.Is(err, runlog.ErrNoRun):
		return fmt.Errorf("%w; `dispatcher runs ls` lists runs", err)
	case errors.Is(err, handoff.ErrNoEscalation):
		return fmt.Errorf("%w; `dispatcher esc ls` lists open escalations", err)
	}
	return err
}

// codeOf is the exit code of errors that only this program has: those of decisions and of the embedded server.
func codeOf(err error) int {
	switch {
	case errors.Is(err, handoff.ErrInvalid):
		return cli.ExitInvalid
	case errors.Is(err, people.ErrForbidden):
		return cli.ExitNotAllowed
	case errors.Is(err, handoff.ErrNotAllowed):
		return cli.ExitUsage
	case errors.Is(err, handoff.ErrNoEscalation):
		return cli.ExitNotFound
	case errors.Is(err, handoff.ErrDecidedBefore), errors.Is(err, handoff.ErrChanged), errors.Is(err, handoff.ErrClaimed), errors.Is(err, handoff.ErrApproved),
		errors.Is(err, handoff.ErrCameBack), errors.Is(err, handoff.ErrUnderWay), errors.Is(err, embedded.ErrLocked):
		return cli.ExitTemporary
	case errors.Is(err, handoff.ErrNoDesk), errors.Is(err, requests.ErrNobody):
		return cli.ExitUnreachable
	}
	return cli.ExitOK
}
