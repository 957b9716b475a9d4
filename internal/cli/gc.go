package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How far the heap may grow beyond what is in use before it is collected. Most allocations here are short-lived
// messages, so a small heap is better left to grow: with 4,000 runs in flight, growing by 200 % instead of 100 % gives
// 7 % more steps a second. A large heap holds open runs and the index of those that are kept, and the same growth would
// waste memory: 100,000 open runs and 1,000,000 kept are to fit in 700 MB.
const (
	growPercent = 200       // of what is in use, while that is small
	growMost    = 160 << 20 // bytes, once it is larger
	growLeast   = 25        // percent, however large it is
)

// easeGC sets the collector's pace after every collection. GOGC, if set, takes precedence; GOMEMLIMIT works as always.
func (a *App) easeGC() {
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(growPercent)
		afterGC(&pace{percent: growPercent})
	}
}

type pace struct{ percent int }

// afterGC calls p.set after the next collection, which finds that the new array is garbage.
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
