package tally

import (
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/wire"
)

func BenchmarkNote(b *testing.B) {
	b.ReportAllocs()
	e := bus.Entry{Seq: 1, Time: time.Now(), Subject: "belay.runs.0.01a221c0-11e5-788c-a673-90b5beb9cfce.outcome", Data: make([]byte, 700), Header: map[string][]string{"Belay-Run-Id": {"x"}}}
	k := &Keeper{names: wire.Names{Prefix: "belay"}, parts: []*part{{}}}
	for b.Loop() {
		k.parts[0].notes = k.parts[0].notes[:0]
		k.Note(0, e)
	}
}
