package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How far the heap may grow beyond what is in use before it is collected. Most of what is allocated here are short-lived
// messages, so a small heap is better left to grow: with 4,000 runs in flight twice its size makes 7 % more steps than
// once. A large one holds open runs, and twice its size would be memory for nothing: 100,000 of them are to stay below
// 1 GB.
const (
	growPercent = 200
	growMost    = 256 << 20
	growLeast   = 25 // at least, however large the heap is
)

// easeGC sets the collector's pace after every collection. GOGC, when it is set, counts instead, and GOMEMLIMIT as ever.
func (a *app) easeGC() {
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(growPercent)
		afterGC(&pace{percent: growPercent})
	}
}

type pace struct{ percent int }

// afterGC calls p.set once the next collection has run: then the word that nobody holds is found to be garbage.
func afterGC(p *pace) {
	runtime.AddCleanup(new([16]byte), func(p *pace) { p.set(); afterGC(p) }, p)
}

func (p *pace) set() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if live[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	want := percentFor(live[0].Value.Uint64())
	if want*10 < p.percent*9 || want*9 > p.percent*10 { // every change stops the world for a moment
		debug.SetGCPercent(want)
		p.percent = want
	}
}

func percentFor(live uint64) int {
	most := 100 * uint64(growMost) / max(live, 1)
	return int(min(growPercent, max(growLeast, most)))
}
