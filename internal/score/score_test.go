package score

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
	"belay/internal/steps"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func fault(message string) *steps.Fault { return &steps.Fault{Class: steps.Timeout, Message: message} }

// anyChange is a change as a log may have it.
func anyChange(r *rand.Rand, seq uint64, at time.Time) Change {
	c := Change{Seq: seq, At: at, What: What(1 + r.IntN(int(Dropped))), Tool: fmt.Sprintf("t%d", r.IntN(3)), Rung: fmt.Sprintf("r%d", r.IntN(2)), Run: "run", Took: time.Duration(r.IntN(1e6)) * time.Second}
	if c.What == Faulted {
		c.Fault = fault(fmt.Sprintf("order %d of %c", r.IntN(1000), 'a'+r.IntN(3)))
	}
	return c
}

// shelf is what is stored of a partition.
type shelf struct {
	book []byte
	days map[string]Day
}

func (s *shelf) store(t *testing.T, b *Book, now time.Time, dies bool) {
	t.Helper()
	for _, h := range b.due(now) {
		d := s.days[day(h.At)]
		d.put(h)
		s.days[day(h.At)] = d
	}
	if dies {
		return
	}
	b.closed(now)
	body, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	s.book = body
}

func (s *shelf) load() *Book {
	if s.book == nil {
		return newBook()
	}
	return parseBook(s.book)
}

func (s *shelf) total() (sum map[string]Numbers) {
	c := merged(map[string]*Book{"0": s.load()}, map[string]map[string]Day{"0": s.days})
	sum = map[string]Numbers{}
	for i := range c.Hours {
		for tool, n := range c.Hours[i].Tools {
			all := sum[tool]
			all.Add(n)
			sum[tool] = all
		}
	}
	return sum
}

// TestCountedOnce: however often a counter dies and the next one counts from what is stored, and whenever days are rolled up, all is
// counted, and nothing twice.
func TestCountedOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		var log []Change
		want, now := map[string]Numbers{}, start
		for seq := range uint64(300) {
			now = now.Add(time.Duration(r.IntN(40)) * time.Minute)
			c := anyChange(r, seq+1, now)
			n := want[c.Tool]
			n.count(&c)
			want[c.Tool] = n
			log = append(log, c)
		}
		s := &shelf{days: map[string]Day{}}
		for at := 0; at < len(log); {
			b := s.load()
			from := int(b.Upto) - r.IntN(int(b.Upto)+1) // what is counted may be delivered once more
			at = min(len(log), int(b.Upto)+1+r.IntN(30))
			b.count(log[from:at])
			b.Upto = log[at-1].Seq
			dies := r.IntN(4) == 0
			if s.store(t, b, log[at-1].At, dies); dies {
				at = 0
				continue
			}
			for on, d := range s.days {
				if r.IntN(4) == 0 && on < day(log[at-1].At.Add(-48*time.Hour)) {
					s.days[on] = d.rolledUp()
				}
			}
		}
		if got := s.total(); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: counted\n%+v, want\n%+v", seed, got, want)
		}
	}
}

// TestOneWayToFail: what differs from call to call is not another cause, and how many there are is bounded.
func TestOneWayToFail(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"order 17 is gone", "order 4711 is gone"}, {`field "a" is missing`, `field "bcd" is missing`},
		{"dial 10.0.0.1:80: refused", "dial 10.20.0.1:8080: refused"},
		{"request 0192f3aa-11bb-4cc2-8dd3-0123456789ab failed", "request 5592f3aa-11bb-4cc2-8dd3-0123456789ff failed"},
	} {
		if a, b := normal(same[0]), normal(same[1]); a != b {
			t.Errorf("%q and %q are two", a, b)
		}
	}
	if normal("order is gone") == normal("customer is gone") {
		t.Error("two causes are one")
	}
	b := newBook()
	for i := range 10_000 {
		name := fmt.Sprintf("%c%c%c", 'g'+i%17, 'g'+i/17%17, 'g'+i/289%17)
		b.count([]Change{{Seq: uint64(i + 1), At: start, What: Faulted, Tool: "tool" + name, Rung: name, Fault: &steps.Fault{Class: steps.ToolError, Message: name}}})
	}
	if len(b.Causes) > mostCauses+mostOthers+1 || len(b.Slots[0].Tools) > mostTools+1 {
		t.Errorf("%d causes, %d tools", len(b.Causes), len(b.Slots[0].Tools))
	}
	sum := 0
	for _, c := range b.Causes {
		sum += c.Count
	}
	if sum != 10_000 {
		t.Errorf("%d of 10000 faults are counted", sum)
	}
	if body, err := json.Marshal(b); err != nil || len(body) > 512<<10 {
		t.Errorf("the book has %d bytes: %v", len(body), err)
	}
}

// TestQuantiles: what is said of decisions is true of them.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	var n Numbers
	var all []time.Duration
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Hour))
		all = append(all, d)
		n.count(&Change{What: Decided, Took: d})
	}
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.95} {
		exact, got := all[int(q*1000)-1], n.Quantile(q)
		if got < exact.Truncate(time.Second) || got > exact*3/2+time.Second {
			t.Errorf("%g: %s, exactly %s", q, got, exact)
		}
	}
}

// TestDeadRungs: a rung that has not answered for 30 days is dead, whether it was tried or not, and one that is new is not yet.
func TestDeadRungs(t *testing.T) {
	t.Parallel()
	b := newBook()
	tools := map[string]steps.Tool{"pay": {Name: "pay", Rungs: []steps.Rung{{Name: "a"}, {Name: "b"}, {Name: "c"}}}}
	b.count([]Change{{Seq: 1, At: start, What: Defined, Tools: tools}, {Seq: 2, At: start.Add(24 * time.Hour), What: Answered, Tool: "pay", Rung: "a"}, {Seq: 3, At: start.Add(24 * time.Hour), What: Faulted, Tool: "pay", Rung: "b", Fault: fault("x")}})
	at := func(now time.Time) []RungOutcome {
		return merged(map[string]*Book{"0": b}, nil).Report(now, 0, nil).Tools[0].Rungs
	}
	young := at(start.Add(29 * 24 * time.Hour))
	if !young[0].Dead.IsZero() || young[0].Silent || !young[1].Silent || !young[2].Silent || young[1].Tried.IsZero() || !young[2].Tried.IsZero() {
		t.Errorf("%+v", young)
	}
	old := at(start.Add(30 * 24 * time.Hour))
	if !old[0].Dead.IsZero() || !old[1].Dead.Equal(start) || !old[2].Dead.Equal(start) || old[1].Silent {
		t.Errorf("%+v", old)
	}
}

func FuzzBook(f *testing.F) {
	b := newBook()
	b.count([]Change{{Seq: 1, At: start, What: Defined, Tools: map[string]steps.Tool{"t": {Name: "t", Rungs: []steps.Rung{{Name: "r"}}}}}, {Seq: 2, At: start, What: Faulted, Tool: "t", Rung: "r", Fault: fault("x")}})
	exactjsontest.Fuzz(f, func(body []byte) (b Book, err error) { return b, exactjson.Unmarshal(body, &b) }, *b)
}
