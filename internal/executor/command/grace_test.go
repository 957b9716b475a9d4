//go:build unix

package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/command"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// long is a grace that no test waits for: what ends in order ends long before.
const long = time.Minute

// stopped executes a script with this grace, ends its context once it has written to the fifo that it finds as $UP, and
// gives what came of it. Nothing is ever written to the fifo $NEVER: a shell that reads from it waits without a child,
// which it could be just about to start when it is told to end.
func stopped(t *testing.T, script string, grace time.Duration) (executor.Result, error) {
	t.Helper()
	up := fifo(t, "up")
	spec := shell(script)
	spec.Env, spec.Grace = []executor.EnvVar{{Name: "UP", Value: up}, {Name: "NEVER", Value: fifo(t, "never")}}, grace
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		defer cancel(steps.Fault{Class: steps.Timeout, Message: "did not end within its timeout"})
		if _, err := os.ReadFile(up); err != nil {
			t.Error(err)
		}
	}()
	return command.New(spec).Execute(ctx, executortest.Request(`{}`))
}

func stoppedFault(t *testing.T, script string, grace time.Duration) steps.Fault {
	t.Helper()
	res, err := stopped(t, script, grace)
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		t.Fatalf("%s: %s, %v, want a fault", script, res.Output, err)
	}
	if f.Class != steps.Timeout || !f.MayHaveActed() {
		t.Errorf("%s: fault = %+v, want a timeout that may have acted", script, f)
	}
	return f
}

func TestStoppedCommandReleasesItsLock(t *testing.T) {
	t.Parallel()
	lock := filepath.Join(t.TempDir(), "lock")
	f := stoppedFault(t, "mkdir "+lock+"; trap 'rmdir "+lock+"; echo released >&2; exit 1' TERM; exec 4<>$NEVER; echo up > $UP; read x <&4", long)
	if _, err := os.Stat(lock); err == nil {
		t.Error("the lock is left: the command was not told to end")
	}
	if !strings.Contains(f.Message, "exited with 1") || !strings.Contains(f.Detail, "released") {
		t.Errorf("fault = %+v, want how it ended and its last words", f)
	}
}

func TestResultWithinTheGraceCounts(t *testing.T) {
	t.Parallel()
	res, err := stopped(t, `trap 'echo "{\"done\":true}"; exit 0' TERM; exec 4<>$NEVER; echo up > $UP; read x <&4`, long)
	if err != nil || string(res.Output) != `{"done":true}` {
		t.Errorf("output = %s, %v, want the result that it gave when told to end", res.Output, err)
	}
	for script, says := range map[string]string{
		`trap 'exit 0' TERM; exec 4<>$NEVER; echo up > $UP; read x <&4`:           "no result",
		`trap 'echo "{"; exit 0' TERM; exec 4<>$NEVER; echo up > $UP; read x <&4`: "no usable result",
		`trap 'kill -9 $$' TERM; exec 4<>$NEVER; echo up > $UP; read x <&4`:       "signal: killed",
	} {
		if f := stoppedFault(t, script, long); !strings.Contains(f.Message, says) {
			t.Errorf("%s: message = %q, want %q", script, f.Message, says)
		}
	}
}

func TestWhatDoesNotEndIsKilledAfterTheGrace(t *testing.T) {
	t.Parallel()
	path := fifo(t, "life")
	gone := listen(t, path, make(chan struct{}))
	const grace = 300 * time.Millisecond
	began := time.Now()
	f := stoppedFault(t, "exec 3>"+path+"; trap '' TERM; echo up >&3; sleep 300 & echo up > $UP; wait", grace)
	if took := time.Since(began); took < grace {
		t.Errorf("it was killed after %s, its grace is %s", took, grace)
	}
	if !strings.Contains(f.Message, "within 300ms") {
		t.Errorf("message = %q, want one that tells of the grace", f.Message)
	}
	<-gone // waits for ever if a process were left
}

// A shell without a trap ends at once when it is told to. What it started is told too, and has its grace all the same.
func TestGraceIsTheGroups(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	ready := fifo(t, "ready")
	child := "trap 'sleep 0.3; echo released > " + mark + "; exit' TERM; echo up > " + ready + "; while :; do sleep 0.05; done"
	stoppedFault(t, `sh -c "`+child+`" & read up < `+ready+`; echo up > $UP; wait`, long)
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("what the command had started was killed before it could end: %v", err)
	}
}

func TestCommandThatPrintsTooMuchEndsInOrder(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	spec := shell("trap 'echo released > " + mark + "; exit 1' TERM; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
	spec.Grace = long
	if f := executortest.Fault(t.Context(), t, command.New(spec), executortest.Request(`{}`)); f.Class != steps.InvalidOutput {
		t.Errorf("fault = %+v, want invalid_output", f)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("it was not told to end: %v", err)
	}
}
