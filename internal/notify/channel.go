package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Channel is one way to reach people. Send returns within [sendTimeout], and is safe for concurrent use. Its error is a
// [*Failure] without secrets.
type Channel interface {
	Send(ctx context.Context, n Notice) error
}

// sendTimeout bounds one attempt to send.
const sendTimeout = 10 * time.Second

// Failure says why a notice could not be sent.
type Failure struct {
	Temporary  bool          // sending it again may succeed
	RetryAfter time.Duration // how long the other side asked to wait; 0 = it did not ask
	Err        error         // the error of the other side or the network, without secrets
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

func temporary(format string, args ...any) *Failure {
	return &Failure{Temporary: true, Err: fmt.Errorf(format, args...)}
}

func permanent(format string, args ...any) *Failure {
	return &Failure{Err: fmt.Errorf(format, args...)}
}

// failureOf treats an error that is not a Failure as temporary: a few useless retries are the smaller mistake.
func failureOf(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return temporary("%w", err)
}

// Test sends a test notice, once.
func Test(ctx context.Context, c Channel) error {
	now := time.Now()
	return c.Send(ctx, Notice{ID: name("trial", instant(now)), What: Trial, At: now})
}
