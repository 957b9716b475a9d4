package bus

import "time"

// SetTimer asks the server to put a message on the run's due subject at a time, which is rounded up to whole seconds. It
// replaces an earlier timer of the run.
func (b *Bus) SetTimer(partition int, run string, at time.Time, done func(error)) {
	when := wholeSecond(at).Format(time.RFC3339)
	b.Publish(b.names.TimersStream(), Message{
		Subject: b.names.TimerSet(partition, run),
		Header:  map[string][]string{"Nats-Schedule": {"@at " + when}, "Nats-Schedule-Target": {b.names.TimerDue(partition, run)}},
	}, func(_ uint64, err error) { done(err) })
}

// wholeSecond rounds up: a timer that fires early would find that nothing is due.
func wholeSecond(at time.Time) time.Time { return at.Add(time.Second - 1).Truncate(time.Second).UTC() }

// cancelled marks the message that cancels a timer: it is published on the due subject, and must not be mistaken for the
// timer.
const cancelled = "Belay-Timer-Cancelled"

// CancelTimer cancels the run's timer, if it has one.
func (b *Bus) CancelTimer(partition int, run string, done func(error)) {
	b.Publish(b.names.TimersStream(), Message{
		Subject: b.names.TimerDue(partition, run),
		Header:  map[string][]string{"Nats-Scheduler": {b.names.TimerSet(partition, run)}, "Nats-Schedule-Next": {"purge"}, cancelled: {"1"}},
	}, func(_ uint64, err error) { done(err) })
}
