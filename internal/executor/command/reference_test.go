package command

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// TestReferenceOfFaults: docs/faults.md says what comes of programs that do not work.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	word := func(s string) executor.Text { return func(any) (string, error) { return s, nil } }
	starting := func(words ...executor.Text) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, New(executor.Command{Argv: words, MaxBytes: executortest.Limit}), executortest.Request(`{}`))
		}
	}
	script := func(s string) executortest.Cause { return starting(word("sh"), word("-c"), word(s)) }
	refused := func(err error) executortest.Cause {
		return func(*testing.T) steps.Fault { return notStarted(err) }
	}
	executortest.Agree(t, "command", "what happens", map[string][]executortest.Cause{
		"exit code 75":              {script("exit 75")},
		"any other exit code but 0": {script("exit 1"), script("exit 126"), script("exit 127")},
		"ended by a signal that it was not sent for its timeout": {script("kill -9 $$"), script("kill -TERM $$")},
		"exit code 0, and stdout is not JSON, or too large":      {script("echo hi"), script("exit 0"), script("head -c 10000 /dev/zero")},
		"the timeout passes, and no valid result within the grace": {func(t *testing.T) steps.Fault {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			return executortest.Fault(ctx, t, New(executor.Command{Argv: []executor.Text{word("sleep"), word("60")}, Grace: time.Minute}), executortest.Request(`{}`))
		}},
		"the program is not there, or cannot be executed":   {starting(word("no-such-program-at-all")), starting(word("/"))},
		"this machine has no process or memory left for it": {refused(syscall.EAGAIN), refused(syscall.ENOMEM)},
		"the arguments are too long, or contain a NUL":      {starting(word("echo"), word(strings.Repeat("x", 4<<20))), starting(word("echo"), word("a\x00"))},
		"a template fails": {starting(word("echo"), func(any) (string, error) { return "", errors.New("params.order is null") })},
	})
}
