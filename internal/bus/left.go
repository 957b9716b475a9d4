package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// PullLeft pulls one step message of a rung that its worker has left behind: it was handed back, or its ack wait passed
// without a heartbeat. False means that there is none. What a worker has in hand and keeps is never given out; redelivered
// messages come first, so a message that nobody ever had shows that none is left behind, and goes back at once. The
// caller acknowledges or parks what it gets.
func (b *Bus) PullLeft(ctx context.Context, tool, rung string) (Delivery, bool, error) {
	m, err := b.pullOne(ctx, b.names.StepsStream(), b.names.StepConsumer(tool, rung))
	if err != nil || m == nil {
		return Delivery{}, false, err
	}
	d, err := delivery(m)
	if err != nil {
		return Delivery{}, false, err
	}
	d.bound(b.nc)
	if d.Count > 1 {
		return d, true, nil
	}
	return Delivery{}, false, d.Park(0)
}

// pullOneWait is how long the server may take to say that there is nothing.
const pullOneWait = time.Second

// pullOne asks a consumer for a message that is there now; nil if there is none, or no such consumer.
func (b *Bus) pullOne(ctx context.Context, stream, consumer string) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pullOneWait)
	defer cancel()
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox) // the answer comes on its own subject, which a shared inbox would not recognise
	if err != nil {
		return nil, fmt.Errorf("pull from %s: %w", consumer, b.away(err))
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.nc.PublishRequest(b.api("CONSUMER.MSG.NEXT."+stream+"."+consumer), inbox, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
		return nil, fmt.Errorf("pull from %s: %w", consumer, b.away(err))
	}
	m, err := sub.NextMsgWithContext(ctx)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, nil // no worker has ever made it
	case errors.Is(err, context.DeadlineExceeded):
		return nil, nil // the server has looked at messages that are not there any more, and gives the pull no answer
	case err != nil:
		return nil, fmt.Errorf("pull from %s: %w", consumer, err)
	case m.Subject == inbox:
		return nil, nil // what the server says of the pull
	}
	return m, nil
}
