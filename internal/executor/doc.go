// Package executor is the seam between a worker and what does the work of a rung: HTTP services, commands, NATS
// services, Go functions, caches. An executor knows nothing of queues, retries, runs or people: it executes one
// [Request] and says how that went. Each is a package in a folder below and imports none of the others; [executortest]
// has the conformance suite that they all pass.
//
// # Writing an executor
//
// An executor is made from its settings in the tools file (its struct in spec.go), once per rung and worker, and then
// called for every attempt, from many goroutines at once:
//
//	// Package ftp executes rungs that fetch a file.
//	package ftp
//
//	func New(spec executor.FTP) executor.Executor { return &rung{spec} }
//
//	func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
//		if ctx.Err() != nil {
//			return executor.Result{}, executor.Stopped(ctx, steps.ActedNo) // nothing was sent
//		}
//		params, err := executor.Decode(req.Params)
//		if err != nil {
//			return executor.Result{}, err
//		}
//		url, err := x.spec.URL(params)
//		if err != nil {
//			return executor.Result{}, executor.BadTemplate("url", err)
//		}
//		data, err := fetch(ctx, url, executor.Limit(x.spec.MaxBytes)+1)
//		if err != nil {
//			return executor.Result{}, x.fault(ctx, err)
//		}
//		data = x.secrets.RedactAnswer(data, executor.FormatJSON)
//		out, err := executor.Output(data, executor.FormatJSON, x.spec.MaxBytes)
//		return executor.Result{Output: out}, err
//	}
//
// What it owes the worker:
//
//   - It stops when its context ends. It stops what it started, returns soon, and its fault is what [Stopped] makes. An
//     executor that needs time for this is [Graceful]; one that returns whatever the tool does is [Prompt].
//   - It says truthfully whether it may have acted. [steps.ActedNo] is only for a call that was never sent or that was
//     refused; in all other cases it is [steps.ActedMaybe]. An unsafe tool is retried after the first and never after the
//     second, so a wrong ActedNo pays twice and a wrong ActedMaybe wakes somebody up.
//   - It does not retry. The core counts tries, waits and changes rungs, and it must know of every call.
//   - It returns a [steps.Fault] with a class of the closed set. [OfStatus] classifies status codes, [NamedWait] reads how
//     long to wait. The message says what failed and what to do about it; the detail is evidence, a few KiB at most.
//   - It passes the idempotency key (Request.Key) on in whatever way the other side understands, and the trace context.
//   - It bounds what it reads ([Limit]) and checks what it returns ([Output]): one JSON value, valid UTF-8, not too deep.
//     Numbers stay as they were written.
//   - It hides its secrets ([Secrets]) in outputs and faults, because tools echo what they get.
//
// Its test describes it as an [executortest.Subject] and calls [executortest.Exercise]. What else a new executor needs
// in the repository (its keys in the tools file, their schema, the case in package ladder) is listed in
// CONTRIBUTING.md. The smallest one to read is executor/static, the most complete one executor/http.
//
// [executortest]: https://pkg.go.dev/belay/internal/executor/executortest
package executor
