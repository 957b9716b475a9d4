package bus

import (
	"context"
	"fmt"
	"testing"

	"belay/internal/wire"
)

func TestReadAndFollow(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	p := wire.Partition("r", b.Partitions())
	stream := b.Names().RunsStream(p)
	for i := range 1200 { // more than two pages
		b.Publish(stream, Message{Subject: b.Names().Log(p, "r", wire.KindOutcome), Data: fmt.Appendf(nil, "%d", i)}, func(uint64, error) {})
		b.Publish(stream, Message{Subject: b.Names().Log(p, "other", wire.KindOutcome)}, func(uint64, error) {})
	}
	if _, err := b.PublishWait(t.Context(), stream, Message{Subject: b.Names().Log(p, "r", wire.KindPlan)}); err != nil {
		t.Fatal(err)
	}
	all, err := b.ReadLog(t.Context(), "r", 0)
	if err != nil || len(all) != 1201 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	err = b.FollowLog(ctx, "r", all[600].Seq, func(e Entry) {
		if n++; e.Seq != all[600+n].Seq {
			t.Errorf("entry %d is %d, not %d", n, e.Seq, all[600+n].Seq)
		}
		if n == 600 {
			stop()
		}
	})
	if err != nil || n != 600 {
		t.Fatalf("%d entries, %v", n, err)
	}
	if none, err := b.ReadLog(t.Context(), "nobody", 0); err != nil || len(none) != 0 {
		t.Fatalf("an unknown run gives %d, %v", len(none), err)
	}
}
