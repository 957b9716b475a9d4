package steps

import (
	"strings"
	"testing"
)

// TestWhatMayHaveEndedAWorkerIsKeptApart: from the first loss on, and to its end from the second one on.
func TestWhatMayHaveEndedAWorkerIsKeptApart(t *testing.T) {
	t.Parallel()
	a, now := Attempt{Step: "s", Try: 2}, start
	start := func(of Attempt, delivery string, c Company) Record {
		return Record{Time: now, Event: Started{Attempt: of, Worker: "w", Delivery: delivery, Company: c}}
	}
	unheard := start(a, "d1", CompanyBeside)
	unheard.Event = Started{Attempt: a, Worker: "w", Delivery: "d1", Unheard: true, Company: CompanyBeside}
	for name, tt := range map[string]struct {
		log     []Record
		effects Effects
		message Lane
		want    Lane
	}{
		"nothing was lost":                      {},
		"lost beside others":                    {log: []Record{start(a, "", CompanyBeside)}, want: LaneApart},
		"lost by a worker that does not say":    {log: []Record{start(a, "", "")}, want: LaneApart},
		"lost twice":                            {log: []Record{start(a, "", CompanyBeside), start(a, "d1", CompanyBeside)}, want: LaneAlone},
		"lost, and another one before it":       {log: []Record{unheard}, want: LaneAlone},
		"an earlier try was lost, and ended":    {log: []Record{start(Attempt{Step: "s", Try: 1}, "", CompanyBeside), {Time: now, Event: Failed{Attempt: Attempt{Step: "s", Try: 1}}}}},
		"another step":                          {log: []Record{start(Attempt{Step: "r", Try: 1}, "", CompanyBeside)}},
		"its message says so":                   {message: LaneAlone, want: LaneAlone},
		"its message says so, and it was lost":  {log: []Record{start(a, "", CompanyAlone)}, message: LaneAlone, want: LaneAlone},
		"what must be claimed is never retried": {log: []Record{start(a, "", CompanyBeside)}, effects: EffectsUnsafe},
		"but a person may send it back":         {effects: EffectsUnsafe, message: LaneApart, want: LaneApart},
	} {
		h := Handling{Delivered: Delivered{StepMessage: StepMessage{Attempt: a, Effects: EffectsNone, Lane: tt.message}, Redelivered: true}}
		if tt.effects != "" {
			h.Effects = tt.effects
		}
		h.Read(tt.log)
		if got := h.Lane(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestWhoIsBlamed: a person reads how often it was alone, and nothing of it where that is not known.
func TestWhoIsBlamed(t *testing.T) {
	t.Parallel()
	a := Attempt{Step: "s", Try: 1}
	for want, companies := range map[string][]Company{
		"its worker crashed 3 times while executing it":                                          {"", "", ""},
		"its worker crashed 3 times while executing it; it has killed its worker 2 times, alone": {CompanyBeside, CompanyAlone, CompanyAlone},
		"its worker crashed 3 times while executing it; it has killed its worker once, alone":    {CompanyBeside, CompanyBeside, CompanyAlone},
	} {
		var log []Record
		for n, c := range companies {
			log = append(log, Record{Time: start, Event: Started{Attempt: a, Worker: "w", Delivery: strings.Repeat("d", n), Company: c}})
		}
		h := Handling{Delivered: Delivered{StepMessage: StepMessage{Attempt: a, Effects: EffectsNone}, Redelivered: true}}
		n := h.Next()
		for h.Read(log); n.Act == ActRead; n = h.Next() {
		}
		if n.Act != ActFail || n.Fault.Class != Crashed || n.Fault.Message != want {
			t.Errorf("%v: %v %v, want %q", companies, n.Act, n.Fault, want)
		}
	}
}
