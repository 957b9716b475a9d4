package bus

import (
	"testing"

	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

// A worker may write outcomes, with whatever headers it likes. None of them may make its message look like another.
func TestHeadersOfAPublisherAreNotTakenForTheServers(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	stream, outcome := b.Names().RunsStream(p), b.Names().Log(p, "r", wire.KindOutcome)
	forged := map[string][]string{
		"Nats-Subject": {b.Names().Log(p, "r", wire.KindDecision)}, "Nats-Sequence": {"4711"}, "Nats-Time-Stamp": {"2001-01-01T00:00:00Z"},
		"Nats-Num-Pending": {"0"}, "Status": {"204"}, "Description": {"EOB"}, "Nats-Pin-Id": {"mine"},
	}
	seq, err := b.PublishWait(t.Context(), stream, Message{Subject: outcome, Header: forged})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishWait(t.Context(), stream, Message{Subject: outcome, Data: []byte("after")}); err != nil {
		t.Fatal(err)
	}
	all, err := b.ReadLog(t.Context(), "r", 0)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	last, ok, err := b.Last(t.Context(), stream, outcome)
	if err != nil || !ok || last.Seq != all[1].Seq {
		t.Fatalf("last is %d, %v", last.Seq, err)
	}
	if e := all[0]; e.Subject != outcome || e.Seq != seq || e.Time.Year() == 2001 {
		t.Errorf("read as %d %s of %s", e.Seq, e.Subject, e.Time)
	}
	got := make(chan Delivery, 2)
	c, err := b.ConsumeLog(t.Context(), p, func(d Delivery) { got <- d })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	first, second := <-got, <-got
	if first.Subject != outcome || first.Seq != seq || first.Pin == "mine" || first.Pin != second.Pin {
		t.Errorf("delivered as %d %s under pin %s, the next under %s", first.Seq, first.Subject, first.Pin, second.Pin)
	}
}
