package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"belay/internal/executor"
	"belay/internal/steps"
)

const (
	exitTempFail = 75  // EX_TEMPFAIL of sysexits.h
	exitNotFound = 127 // as in a shell
	exitNotRun   = 126
	signalBase   = 128
	seenBytes    = 2 << 10 // how much of an unusable stdout is kept as evidence
	stderrShown  = 4 << 10
)

// result says what the end of the command means. Only what it did counts: a command that succeeded just when its time
// ran out has succeeded.
func (x *rung) result(ctx context.Context, p *process) (json.RawMessage, error) {
	switch {
	case p.state == nil && ctx.Err() != nil:
		return nil, executor.Stopped(ctx, steps.ActedNo)
	case p.state == nil:
		return nil, notStarted(p.err)
	}
	f := steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Status: status(p)}
	sig, signalled := signalOf(p)
	switch {
	case p.tooMuch:
		f = executor.TooLarge("", x.spec.MaxBytes)
	case p.asked:
		return x.stopped(ctx, p)
	case signalled:
		f.Message = fmt.Sprintf("was ended by a signal: %s", sig)
	case p.state.ExitCode() == 0:
		return x.output(p)
	case p.state.ExitCode() == exitTempFail:
		f.Class, f.Message = steps.Unavailable, "exited with 75: it is unavailable now"
	default:
		f.Message = fmt.Sprintf("exited with %d", p.state.ExitCode())
	}
	return nil, f
}

// output makes the result of what was printed. The limit applies to that; hiding a secret may make it longer.
func (x *rung) output(p *process) (json.RawMessage, error) {
	printed := p.secrets.RedactAnswer(p.stdout, x.spec.Stdout)
	return executor.Output(printed, x.spec.Stdout, max(p.max, len(printed)))
}

// stopped says what came of a command that was asked to end. If it printed its result all the same, it has succeeded.
func (x *rung) stopped(ctx context.Context, p *process) (json.RawMessage, error) {
	f := executor.Stopped(ctx, steps.ActedMaybe)
	sig, signalled := signalOf(p)
	switch {
	case signalled && sig == syscall.SIGKILL && p.killed:
		f.Message += fmt.Sprintf("; asked to end, it did not within %s and was killed", p.grace)
	case signalled && sig == syscall.SIGTERM:
	case signalled:
		f.Message += fmt.Sprintf("; asked to end, it was ended by a signal: %s", sig)
	case p.state.ExitCode() == 0 && len(p.stdout) > 0:
		if out, err := x.output(p); err == nil {
			return out, nil
		}
		f.Message += "; asked to end, it printed no usable result"
	case p.state.ExitCode() == 0:
		f.Message += "; asked to end, it printed no result"
	default:
		f.Message += fmt.Sprintf("; asked to end, it exited with %d", p.state.ExitCode())
	}
	return nil, f
}

// explain names the command, without its arguments, which may be anything, and adds the end of its stderr to what was
// seen of its output.
func (p *process) explain(f steps.Fault) steps.Fault {
	f.Message = "command " + p.argv[0] + ": " + f.Message
	if f.Class == steps.InvalidOutput {
		f.Detail = p.secrets.Head(p.stdout, p.tooMuch, seenBytes)
	}
	said := p.secrets.Tail(p.stderr.b, p.stderr.cut, stderrShown)
	switch {
	case said == "":
	case f.Detail == "":
		f.Detail = said
	default:
		f.Detail += "\nstderr: " + said
	}
	return p.secrets.RedactFault(f)
}

// notStarted is the fault of a command that never ran and so did nothing.
func notStarted(err error) steps.Fault {
	f := steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Status: exitNotRun, Message: "could not be started: " + reason(err)}
	var no syscall.Errno
	if !errors.As(err, &no) {
		f.Status = exitNotFound
		return f
	}
	switch no {
	case syscall.ENOENT:
		f.Status = exitNotFound
	case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
		f.Class, f.Status = steps.Unavailable, 0 // this machine has run out of something
	case syscall.E2BIG:
		f.Class, f.Status = steps.InvalidInput, 0
	}
	return f
}

func reason(err error) string {
	return strings.TrimPrefix(err.Error(), "exec: ")
}

func status(p *process) int {
	if sig, ok := signalOf(p); ok {
		return signalBase + int(sig)
	}
	return p.state.ExitCode()
}

func signalOf(p *process) (syscall.Signal, bool) {
	ws, ok := p.state.Sys().(syscall.WaitStatus)
	if !ok || !ws.Signaled() {
		return 0, false
	}
	return ws.Signal(), true
}
