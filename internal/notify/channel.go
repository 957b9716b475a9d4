package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Channel is one way to reach people. Send ends within [sendTimeout], and may be called at the same time by several. Its
// error is a [*Failure], and has no secret in it.
type Channel interface {
	Send(ctx context.Context, n Notice) error
}

// sendTimeout bounds one attempt to send.
const sendTimeout = 10 * time.Second

// Failure says why a notice could not be sent.
type Failure struct {
	Temporary  bool          // it may be sent again
	RetryAfter time.Duration // not before so long; zero: the other side said nothing
	Err        error
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

func temporary(format string, args ...any) *Failure {
	return &Failure{Temporary: true, Err: fmt.Errorf(format, args...)}
}

func permanent(format string, args ...any) *Failure {
	return &Failure{Err: fmt.Errorf(format, args...)}
}

// failureOf takes an error that is no Failure for a temporary one: trying again a few times is the smaller mistake.
func failureOf(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return temporary("%w", err)
}

// Test sends a notice that says nothing but that it was sent, once.
func Test(ctx context.Context, c Channel) error {
	now := time.Now()
	return c.Send(ctx, Notice{ID: name("trial", instant(now)), What: Trial, At: now})
}
