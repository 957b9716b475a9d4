package dlq

import (
	"errors"
	"testing"

	"belay/internal/bus"
	"belay/internal/exactjson/exactjsontest"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// FuzzDecode: an entry is read, or the entry in its place says that it cannot be and quotes it.
func FuzzDecode(f *testing.F) {
	q := &Queue{names: wire.Default}
	entry := Entry{Escalation: view.Escalation{ID: "r-1", Run: "r", Kind: steps.KindApproval, Tool: "pay", State: steps.EscalationOpen}, Origin: &Origin{Subject: "x", Raw: []byte("y")}}
	exactjsontest.Fuzz(f, func(body []byte) (stored, error) {
		got := q.decode(bus.Entry{Subject: q.names.Escalation(steps.KindApproval, "pay", "r-1"), Seq: 9, Data: body})
		switch o := got.Origin; {
		case got.ID != "r-1":
			f.Fatalf("%+v", got)
		case o != nil && o.Sequence == 9 && o.Size == len(body) && string(o.Raw) == string(body[:min(len(body), maxRaw)]):
			return stored{}, errors.New("unreadable")
		}
		return stored{wire.Version, got}, nil
	}, stored{wire.Version, entry})
}
