package bus

import "time"

// SetTimer asks the server to put a message on the run's due subject at a moment; whole seconds, so it is rounded up.
// A timer that was set before is replaced.
func (b *Bus) SetTimer(partition int, run string, at time.Time, done func(error)) {
	when := wholeSecond(at).Format(time.RFC3339)
	b.Publish(b.names.TimersStream(), Message{
		Subject: b.names.TimerSet(partition, run),
		Header:  map[string][]string{"Nats-Schedule": {"@at " + when}, "Nats-Schedule-Target": {b.names.TimerDue(partition, run)}},
	}, func(_ uint64, err error) { done(err) })
}

// wholeSecond rounds up: a timer that comes early would find that nothing is due.
func wholeSecond(at time.Time) time.Time { return at.Add(time.Second - 1).Truncate(time.Second).UTC() }

// cancelled marks the message that takes a timer back: it travels on the due subject and must not be taken for the
// timer itself.
const cancelled = "Belay-Timer-Cancelled"

// CancelTimer takes the run's timer back, if it has one.
func (b *Bus) CancelTimer(partition int, run string, done func(error)) {
	b.Publish(b.names.TimersStream(), Message{
		Subject: b.names.TimerDue(partition, run),
		Header:  map[string][]string{"Nats-Scheduler": {b.names.TimerSet(partition, run)}, "Nats-Schedule-Next": {"purge"}, cancelled: {"1"}},
	}, func(_ uint64, err error) { done(err) })
}
