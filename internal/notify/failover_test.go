package notify

import (
	"context"
	"errors"
	"testing"
	"time"
)

// fakeChannel does what a test wants.
type fakeChannel func(n Notice) error

func (c fakeChannel) Send(_ context.Context, n Notice) error { return c(n) }

// TestTheNextChannelIsRemembered: what the first people's channel does not take the next ones' does, the card says so,
// and nothing is sent twice while the first is still being tried.
func TestTheNextChannelIsRemembered(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	lead := make(chan Notice, 10)
	n.setup.Channels["pager"] = fakeChannel(func(Notice) error { return errors.New("it is broken") })
	n.setup.Channels["mail"] = fakeChannel(func(notice Notice) error { lead <- notice; return nil })
	n.setup.Policy = Policy{Tiers: []Tier{
		{Name: "ops", Notify: []string{"pager"}}, {Name: "lead", Notify: []string{"mail"}, After: time.Hour},
	}}
	stop := n.run()
	defer stop()
	n.ask("a-1", "timeout")
	n.ask("b-1", "other")
	for range 2 {
		select {
		case got := <-lead:
			if got.Tier != "ops" || got.What != Opened {
				t.Errorf("%+v", got)
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody was notified")
		}
	}
	for len(n.notified("a-1", "timeout"))+len(n.notified("b-1", "other")) < 2 { // it is remembered a moment later
		if t.Context().Err() != nil {
			t.Fatal("what arrived is not remembered")
		}
	}
	if len(lead) > 0 {
		t.Errorf("sent again: %+v", <-lead)
	}
}

// TestEveryAttemptIsReported, to whoever counts them.
func TestEveryAttemptIsReported(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	n.down <- struct{}{}
	reports := make(chan Report, 10)
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	o := n.options()
	o.Reports = func(r Report) { reports <- r }
	go func() { end <- Run(ctx, o) }()
	n.ask("a-1", "timeout")
	for _, want := range []Outcome{Failed, Delivered} {
		if r := <-reports; r.Outcome != want || r.Channel != "pager" || (r.Err == nil) != (want == Delivered) {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	cancel()
	if err := <-end; err != nil {
		t.Error(err)
	}
}
