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
	"belay/internal/runlog"
	"belay/internal/text"
	"belay/internal/yamldoc"
)

// The exit codes. Scripts rely on them.
const (
	ExitOK          = 0
	ExitUnexpected  = 1
	ExitRunFailed   = 10
	ExitWaiting     = 11
	ExitAborted     = 12
	ExitUsage       = 64
	ExitInvalid     = 65
	ExitNotFound    = 66
	ExitUnreachable = 69
	ExitTemporary   = 75
	ExitNotAllowed  = 77
	ExitConfig      = 78
	ExitInterrupted = 130
)

const exitCodeHelp = `Exit codes:
  0    success, also of a degraded run; esc decide: the decision counts
  1    unexpected error; drill, rehearse: something that must never be, or is worse than it was; store check: the log is damaged; doctor: something
       must not be as it is
  10   the run failed
  11   the run waits for a person
  12   the run was aborted or cancelled
  64   usage error: unknown command or flag, missing argument
  65   invalid plan, tools file, input or decision
  66   no such run, escalation or file
  69   NATS cannot be reached; tools import: the server cannot
  75   conflict or timeout, worth a retry; esc decide: somebody else decided first or has claimed it, or you have approved
       it before; esc redrive: runs stopped or failed again, or are still under way
  77   not allowed: it takes another role or NATS user, or somebody other than the submitter
  78   wrong settings, or streams that were set up with other settings
  130  interrupted
`

// ExitError is an error with its exit code; without an error the code alone ends the program.
type ExitError struct {
	Code int   // one of the exit codes
	Err  error // what is printed; nil = all has been said
}

// Error implements error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap is the error without its code.
func (e *ExitError) Unwrap() error { return e.Err }

// WithCode gives an error its exit code.
func WithCode(code int, err error) error { return &ExitError{code, err} }

// Usage is an error in how the command was typed; the message is made as by [fmt.Errorf].
func Usage(format string, args ...any) error {
	return &ExitError{ExitUsage, fmt.Errorf(format, args...)}
}

// Quiet is an error with a code and no message, because everything has been printed. It is nil for [ExitOK].
func Quiet(code int) error {
	if code == ExitOK {
		return nil
	}
	return &ExitError{Code: code}
}

// codeOf finds the exit code of an error, and its code in JSON.
func (a *App) codeOf(err error) (code int, word string) {
	var e *ExitError
	var problems yamldoc.Problems
	var op *net.OpError
	var drift *bus.Drift
	if errors.As(err, &e) {
		return e.Code, wordOf(e.Code)
	}
	if a.CodeOf != nil {
		if code = a.CodeOf(err); code != ExitOK {
			return code, wordOf(code)
		}
	}
	switch {
	case errors.As(err, &problems), errors.Is(err, runlog.ErrTooLarge), errors.Is(err, bus.ErrTooLarge), errors.Is(err, runlog.ErrBadID),
		errors.Is(err, runlog.ErrInvalid), errors.Is(err, runlog.ErrBadInput), errors.Is(err, runlog.ErrBadStart):
		return ExitInvalid, "invalid"
	case errors.As(err, &drift), errors.Is(err, bus.ErrReplicas), errors.Is(err, bus.ErrLimits):
		return ExitConfig, "config"
	case errors.Is(err, bus.ErrDenied):
		return ExitNotAllowed, "not_allowed"
	case errors.Is(err, runlog.ErrNoRun), errors.Is(err, fs.ErrNotExist):
		return ExitNotFound, "not_found"
	case errors.Is(err, runlog.ErrConflict), errors.Is(err, runlog.ErrEnded), errors.Is(err, runlog.ErrNoAgent), errors.Is(err, runlog.ErrNoTurn), errors.Is(err, runlog.ErrStopped), errors.Is(err, runlog.ErrNoReplay), errors.Is(err, runlog.ErrNoMigration), errors.Is(err, runlog.ErrAmbiguous),
		errors.Is(err, bus.ErrUncertain), errors.Is(err, bus.ErrFull), errors.Is(err, bus.ErrNoWrites), errors.Is(err, syscall.EADDRINUSE):
		return ExitTemporary, "conflict"
	case errors.Is(err, bus.ErrUnreachable), errors.As(err, &op):
		return ExitUnreachable, "unreachable"
	case errors.Is(err, context.Canceled):
		return ExitInterrupted, "interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		return ExitTemporary, "timeout"
	}
	return ExitUnexpected, "unexpected"
}

// Unreachable gives an error of connecting its exit code, if it has none.
func (a *App) Unreachable(err error) error {
	if code, _ := a.codeOf(err); code == ExitUnexpected {
		return WithCode(ExitUnreachable, err)
	}
	return err
}

func wordOf(code int) string {
	words := map[int]string{
		ExitUsage: "usage", ExitInvalid: "invalid", ExitNotFound: "not_found", ExitUnreachable: "unreachable",
		ExitNotAllowed: "not_allowed", ExitTemporary: "conflict", ExitInterrupted: "interrupted", ExitConfig: "config",
	}
	if w, ok := words[code]; ok {
		return w
	}
	return "unexpected"
}

// report prints an error, once, and returns its exit code.
func (a *App) report(err error) int {
	if err == nil {
		return ExitOK
	}
	code, word := a.codeOf(err)
	var e *ExitError
	if errors.As(err, &e) && e.Err == nil {
		return code
	}
	detail := a.Named(err.Error())
	if a.JSON() {
		_ = json.NewEncoder(a.Err).Encode(map[string]any{"error": map[string]any{
			"code": word, "detail": detail, "exit_code": code, "retryable": code == ExitTemporary || code == ExitUnreachable,
		}})
		return code
	}
	for line := range strings.SplitSeq(detail, "\n") { // it may quote what came from outside
		fmt.Fprintln(a.Err, text.Line(line))
	}
	return code
}

// UnlessStopped is err of a command that serves until it is told to stop; nil if it was told so before it was ready. A
// stop is what such a command waits for, whenever it comes, and a supervisor must not take it for a failure.
func UnlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
