package herald

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"belay/internal/notify"
)

// channel is one that does what a test wants.
type channel func(n notify.Notice) error

func (c channel) Send(_ context.Context, n notify.Notice) error { return c(n) }

// TestTheNextChannelIsRemembered: what the first people's channel does not take the next ones' does, the card says so,
// and nothing is said twice while the first is still being tried.
func TestTheNextChannelIsRemembered(t *testing.T) {
	n := newTown(t)
	lead := make(chan notify.Notice, 10)
	n.setup.Channels["pager"] = channel(func(notify.Notice) error { return errors.New("it is broken") })
	n.setup.Channels["mail"] = channel(func(notice notify.Notice) error { lead <- notice; return nil })
	n.setup.Policy = notify.Policy{Tiers: []notify.Tier{
		{Name: "ops", Notify: []string{"pager"}}, {Name: "lead", Notify: []string{"mail"}, After: time.Hour},
	}}
	stop := n.herald()
	defer stop()
	n.ask("a-1", "timeout")
	n.ask("b-1", "other")
	for range 2 {
		select {
		case got := <-lead:
			if got.Tier != "ops" || got.What != notify.Opened {
				t.Errorf("%+v", got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nobody was told")
		}
	}
	for len(n.told("a-1", "timeout"))+len(n.told("b-1", "other")) < 2 { // it is remembered a moment later
		if t.Context().Err() != nil {
			t.Fatal("what arrived is not remembered")
		}
	}
	if len(lead) > 0 {
		t.Errorf("told again: %+v", <-lead)
	}
}

// TestEveryAttemptIsReported, to whoever counts them.
func TestEveryAttemptIsReported(t *testing.T) {
	n := newTown(t)
	n.down <- struct{}{}
	reports := make(chan notify.Report, 10)
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() {
		end <- Run(ctx, Options{Bus: n.bus, Items: n.desk.Items, Policy: n.setup.Policy, Sender: func(own func(notify.Report)) Sender {
			return notify.NewSender(n.setup.Channels, func(r notify.Report) { own(r); reports <- r }, slog.New(slog.DiscardHandler))
		}})
	}()
	n.ask("a-1", "timeout")
	for _, want := range []notify.Outcome{notify.Failed, notify.Delivered} {
		if r := <-reports; r.Outcome != want || r.Channel != "pager" || (r.Err == nil) != (want == notify.Delivered) {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	cancel()
	if err := <-end; err != nil {
		t.Error(err)
	}
}
