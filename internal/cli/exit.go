package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Exit codes. Others script against them.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitRunFailed   = 10
	exitWaiting     = 11
	exitAborted     = 12 // or cancelled
	exitUsage       = 64
	exitInvalid     = 65
	exitNotFound    = 66
	exitUnreachable = 69
	exitTryAgain    = 75
	exitNotAllowed  = 77
	exitConfig      = 78
	exitInterrupted = 130
)

const exitCodeHelp = `Exit codes:
  0    succeeded (degraded too); esc decide: the decision counted
  1    unexpected error
  10   the run failed
  11   the run waits for a person
  12   the run was aborted or cancelled
  64   usage: unknown command or flag, a missing argument
  65   invalid plan, tools file, input or decision
  66   no such run, escalation or file
  69   NATS cannot be reached
  75   conflict or timeout: try again; esc decide: somebody was first, has claimed it, or you have approved it already;
       esc redrive: it did not help, or is under way
  77   not allowed: another role, or whoever submitted the run
  78   a mistake in the settings, or streams that are set up otherwise
  130  interrupted
`

// exitOf is the code of a run's state.
func exitOf(s steps.RunState) int {
	switch s {
	case steps.RunFailed:
		return exitRunFailed
	case steps.RunWaiting:
		return exitWaiting
	case steps.RunAborted, steps.RunCancelled:
		return exitAborted
	}
	return exitOK
}

// exitError is an error with its exit code; without an error the code alone ends the program.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// quiet ends with a code and no message: all has been said.
func quiet(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// codeOf finds the exit code and a word for an error.
func codeOf(err error) (code int, word string) {
	var e *exitError
	var problems plan.Problems
	var op *net.OpError
	var drift *bus.Drift
	switch {
	case errors.As(err, &e):
		return e.code, wordOf(e.code)
	case errors.As(err, &problems), errors.Is(err, handoff.ErrInvalid), errors.Is(err, runlog.ErrTooLarge), errors.Is(err, bus.ErrTooLarge), errors.Is(err, runlog.ErrBadID):
		return exitInvalid, "invalid"
	case errors.As(err, &drift):
		return exitConfig, "config"
	case errors.Is(err, handoff.ErrForbidden):
		return exitNotAllowed, "not_allowed"
	case errors.Is(err, handoff.ErrNotAllowed):
		return exitUsage, "usage"
	case errors.Is(err, runlog.ErrNoRun), errors.Is(err, handoff.ErrNoEscalation), errors.Is(err, fs.ErrNotExist):
		return exitNotFound, "not_found"
	case errors.Is(err, runlog.ErrConflict), errors.Is(err, runlog.ErrEnded), errors.Is(err, runlog.ErrAmbiguous), errors.Is(err, handoff.ErrDecidedBefore),
		errors.Is(err, handoff.ErrChanged), errors.Is(err, handoff.ErrClaimed), errors.Is(err, handoff.ErrApproved),
		errors.Is(err, handoff.ErrCameBack), errors.Is(err, handoff.ErrUnderWay),
		errors.Is(err, bus.ErrLocked), errors.Is(err, bus.ErrUncertain), errors.Is(err, bus.ErrFull), errors.Is(err, syscall.EADDRINUSE):
		return exitTryAgain, "conflict"
	case errors.Is(err, bus.ErrUnreachable), errors.Is(err, handoff.ErrNoDesk), errors.As(err, &op):
		return exitUnreachable, "unreachable"
	case errors.Is(err, context.Canceled):
		return exitInterrupted, "interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		return exitTryAgain, "timeout"
	}
	return exitUnexpected, "unexpected"
}

func wordOf(code int) string {
	words := map[int]string{
		exitUsage: "usage", exitInvalid: "invalid", exitNotFound: "not_found", exitUnreachable: "unreachable",
		exitNotAllowed: "not_allowed", exitTryAgain: "conflict", exitInterrupted: "interrupted", exitConfig: "config",
	}
	if w, ok := words[code]; ok {
		return w
	}
	return "unexpected"
}

// report tells the operator of an error, once, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	code, word := codeOf(err)
	var e *exitError
	if errors.As(err, &e) && e.err == nil {
		return code
	}
	text := a.named(err.Error())
	if a.json() {
		_ = json.NewEncoder(a.Err).Encode(map[string]any{"error": map[string]any{
			"code": word, "detail": text, "exit_code": code, "retryable": code == exitTryAgain || code == exitUnreachable,
		}})
		return code
	}
	for line := range strings.SplitSeq(text, "\n") { // it may quote what came from outside
		fmt.Fprintln(a.Err, plain(line))
	}
	return code
}
