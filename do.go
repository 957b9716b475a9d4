package belay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"belay/belaytype"
)

// Policy says how [Do] tries. The zero value tries each rung three times with growing waits, and has no time limit.
type Policy struct {
	Timeout time.Duration // of one try; 0 = none
	Budget  time.Duration // of all tries, rungs and waits; 0 = none
	Retry   Retry         // of every rung that has none of its own
	// Classify says what an error of a rung means, by wrapping it in [TryAgain], [Permanent] or the like: use it to have
	// a library's own errors retried. nil = errors are taken as they are.
	Classify func(error) error
}

// Retry says how often a rung is tried, and how long [Do] waits in between. Zero fields get the defaults of a tools file.
type Retry struct {
	MaxAttempts   int           // tries for each class of fault, the first one included; default 3, 1 = no retry
	Initial       time.Duration // upper bound of the first wait, which is random below it (full jitter); default 1 s
	Factor        float64       // by which the bound grows; default 2
	Max           time.Duration // upper bound of any wait; default 60 s
	RetryAfterMax time.Duration // a longer [RetryAfter] goes to the next rung at once; default 5 min
}

// Rung is one way to do something, for [Do]. [Try] makes one.
type Rung[T any] struct {
	name    string
	call    func(context.Context) (T, error)
	unsafe  bool
	timeout time.Duration
	retry   *Retry
}

// Try makes a rung of a function. Its context ends at the timeout of the try, when the budget is used up, or with the
// context of [Do]: return soon after. [Do] does not wait for a function that goes on all the same.
func Try[T any](name string, f func(context.Context) (T, error)) Rung[T] {
	return Rung[T]{name: name, call: f}
}

// Unsafe says that the function must not be repeated once it may have acted: it makes a payment, or sends an e-mail.
// [NothingHappened] around an error says that it has not acted.
func (r Rung[T]) Unsafe() Rung[T] {
	r.unsafe = true
	return r
}

// Within sets the rung's own timeout for one try.
func (r Rung[T]) Within(timeout time.Duration) Rung[T] {
	r.timeout = timeout
	return r
}

// Retry sets the rung's own retry policy.
func (r Rung[T]) Retry(retry Retry) Rung[T] {
	r.retry = &retry
	return r
}

// Result is what [Do] returns.
type Result[T any] struct {
	Value    T                   // what the rung returned; the zero value after an error
	Rung     string              // the one that gave Value
	Degraded bool                // it was not the first rung
	Cause    string              // class and message of the fault that made Do leave the first rung; empty unless Degraded
	Attempts []belaytype.Attempt // every try, the first one first
}

// Do is not durable: a crash of the process ends it, nothing shows it, and it cannot ask a person. Work that has to reach
// its end whatever happens is a run: see [Client.Submit].
//
// Do calls the first rung, retries it with backoff, goes on to the next rung if that does not help, and labels a result
// that did not come from the first. Errors have the same classes as a handler's (see [Handle]), and the same code as in
// a run decides what follows: [TryAgain] and a timeout are retried, [RetryAfter] is retried after its wait, a plain error
// and [Permanent] go to the next rung at once, and [NeedHuman] ends Do with a [*NeedHumanError]. In a rung, [Info] returns
// the number of the try and an idempotency key, which is the same for all tries.
//
// If a [Rung.Unsafe] rung fails and may have acted, Do returns [ErrUnknown] without trying anything else. When nothing is
// left to try, it returns a [*DoError]. When ctx ends, the [*DoError] wraps the error of ctx.
func Do[T any](ctx context.Context, p Policy, rungs ...Rung[T]) (Result[T], error) {
	if len(rungs) == 0 {
		return Result[T]{}, errors.New("belay: Do needs a rung")
	}
	d := &doing{policy: p, rungs: make([]doRung, len(rungs))}
	var value T
	for i, r := range rungs {
		d.rungs[i] = doRung{name: cmp.Or(r.name, fmt.Sprintf("rung %d", i+1)), unsafe: r.unsafe, timeout: cmp.Or(r.timeout, p.Timeout), retry: p.Retry}
		if r.retry != nil {
			d.rungs[i].retry = *r.retry
		}
		d.rungs[i].call = func(ctx context.Context) (keep func(), err error) {
			v, err := r.call(ctx)
			return func() { value = v }, err
		}
	}
	out, err := d.run(ctx)
	return Result[T]{Value: value, Rung: out.rung, Degraded: out.cause != "", Cause: out.cause, Attempts: out.attempts}, err
}

// ErrUnknown says that an unsafe rung failed and may have acted. Find out whether it did before you repeat it.
var ErrUnknown = errors.New("it may have happened; nobody knows")

// DoError is the error of a [Do] without a result: its last fault, after everything that the policy allows was tried.
type DoError struct {
	Rung     string          // the last rung tried
	Fault    belaytype.Fault // its last fault
	Attempts int             // tries, on all rungs together
	cause    error
}

// Error has the last rung, the number of tries and the last fault.
func (e *DoError) Error() string {
	tries := "1 try"
	if e.Attempts != 1 {
		tries = fmt.Sprintf("%d tries in all", e.Attempts)
	}
	return fmt.Sprintf("%s failed after %s: %s", e.Rung, tries, e.Fault.Error())
}

// Unwrap gives the error of the rung.
func (e *DoError) Unwrap() error { return e.cause }

// Is makes errors.Is(err, ErrUnknown) true if nobody knows whether the last try acted.
func (e *DoError) Is(target error) bool {
	return target == ErrUnknown && e.Fault.Class == belaytype.Unknown
}

// NeedHumanError is the error of a [Do] that only a person can finish: a rung returned [NeedHuman]. It wraps a [*DoError].
type NeedHumanError struct{ *DoError }

// Error says that a person is needed, and what the [*DoError] says.
func (e *NeedHumanError) Error() string { return "a person is needed: " + e.DoError.Error() }

// Unwrap gives the [*DoError].
func (e *NeedHumanError) Unwrap() error { return e.DoError }
