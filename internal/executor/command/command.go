// Package command executes rungs that start a program, without a shell: it gets the parameters as JSON on stdin, prints
// the result on stdout, and may explain itself on stderr.
//
// A command gets its own process group, which ends with it. When the command runs out of time, is cancelled or prints
// too much, the whole group gets SIGTERM and, a grace later, SIGKILL; in between it may release a lock, or finish after
// all. When the command exits by itself, the rest of its group is killed at once. A process that must outlive its
// command has to leave the group (setsid). On Linux the command also dies with a killed worker.
//
// Of the worker's environment a command sees PATH, HOME and the variables that the rung names, and in addition
// BELAY_RUN_ID, BELAY_STEP_ID, BELAY_ATTEMPT and BELAY_IDEMPOTENCY_KEY, and BELAY_GRANT of a call that people have approved. The program
// is looked up on the worker's PATH.
//
// command.go fills in the templates, process.go runs a program, pipe.go reads what it prints, fault.go says what its
// end means.
package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"belay/internal/executor"
	"belay/internal/steps"
)

// New makes the executor of one rung.
func New(spec executor.Command) executor.Executor { return &rung{spec} }

type rung struct{ spec executor.Command }

// Grace implements [executor.Graceful].
func (x *rung) Grace() time.Duration { return x.spec.Grace }

// Execute runs the command once.
func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	argv, err := x.argv(req)
	if err != nil {
		return executor.Result{}, err
	}
	if ctx.Err() != nil {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	}
	env, secrets := x.env(ctx, req)
	p := &process{argv: argv, secrets: secrets, dir: x.spec.Dir, env: env, stdin: input(req), max: executor.Limit(x.spec.MaxBytes), grace: x.spec.Grace}
	p.run(ctx)
	out, err := x.result(ctx, p)
	if f, ok := errors.AsType[steps.Fault](err); ok {
		err = p.explain(f)
	}
	return executor.Result{Output: out}, err
}

func input(req executor.Request) []byte {
	if len(req.Params) == 0 {
		return []byte("{}")
	}
	return req.Params
}

func (x *rung) argv(req executor.Request) ([]string, error) {
	params, err := executor.Decode(input(req))
	if err != nil {
		return nil, err
	}
	argv := make([]string, len(x.spec.Argv))
	for i, fill := range x.spec.Argv {
		if argv[i], err = fill(params); err != nil {
			return nil, executor.BadTemplate(fmt.Sprintf("argv[%d]", i), err)
		}
		if strings.ContainsRune(argv[i], 0) {
			return nil, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: fmt.Sprintf("argv[%d] contains a NUL character", i)}
		}
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "argv does not name a program"}
	}
	return argv, nil
}

// env is the whole environment of the command. What is hidden of it is hidden in everything that the command prints.
func (x *rung) env(ctx context.Context, req executor.Request) ([]string, *executor.Secrets) {
	trace := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, trace)
	secrets := &executor.Secrets{}
	secrets.AddAll(x.spec.Hidden)
	env := executor.Environ(x.spec.Env, secrets)
	if trace["traceparent"] != "" {
		env = append(env, "TRACEPARENT="+trace["traceparent"])
	}
	if req.Grant != "" {
		env = append(env, "BELAY_GRANT="+req.Grant)
	}
	return append(env, "BELAY_RUN_ID="+req.Run, "BELAY_STEP_ID="+req.Step, "BELAY_ATTEMPT="+req.Attempt, "BELAY_IDEMPOTENCY_KEY="+req.Key), secrets
}
