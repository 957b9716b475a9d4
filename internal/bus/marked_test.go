package bus

import (
	"fmt"
	"testing"

	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

// TestReadMarked finds the few messages that bear a header among many, and goes on from where it was.
func TestReadMarked(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	stream, all := b.Names().RunsStream(p), b.Names().LogKind(p, wire.KindPlan)
	if none, last, err := b.ReadMarked(t.Context(), stream, all, wire.HeaderAct, 0); err != nil || len(none) != 0 || last != 0 {
		t.Fatalf("of nothing: %v, %d, %v", none, last, err)
	}
	add := func(subject, mark string, n int) {
		t.Helper()
		for i := range n {
			m := Message{Subject: subject, Header: map[string][]string{}, Data: fmt.Appendf(nil, "%s %d", mark, i)}
			if mark != "" {
				m.Header[wire.HeaderAct] = []string{mark}
			}
			b.Publish(stream, m, func(uint64, error) {})
		}
		if _, err := b.PublishWait(t.Context(), stream, Message{Subject: b.Names().Log(p, "r", wire.KindOutcome)}); err != nil {
			t.Fatal(err)
		}
	}
	plan := b.Names().Log(p, "r", wire.KindPlan)
	add(plan, "", 2*markedPage+7)
	add(plan, "cancel", 1)
	add(b.Names().Log(p, "r", wire.KindOutcome), "elsewhere", 1)
	add(plan, "", 3)
	add(plan, "retry", 2)
	found, last, err := b.ReadMarked(t.Context(), stream, all, wire.HeaderAct, 0)
	if err != nil || len(found) != 3 || string(found[0].Data) != "cancel 0" || string(found[2].Data) != "retry 1" || found[0].Header[wire.HeaderAct][0] != "cancel" {
		t.Fatalf("%+v, %v", found, err)
	}
	if none, same, err := b.ReadMarked(t.Context(), stream, all, wire.HeaderAct, last); err != nil || len(none) != 0 || same != last {
		t.Errorf("from the end: %v, %d, %v", none, same, err)
	}
	add(plan, "cancel", 1)
	if next, _, err := b.ReadMarked(t.Context(), stream, all, wire.HeaderAct, last); err != nil || len(next) != 1 {
		t.Errorf("from there: %v, %v", next, err)
	}
}
