package injection

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func order(change func(*Order)) Order {
	o := Order{ID: "a1", Tool: "pay.refund", Kind: Fault, Class: steps.Unavailable, Acted: Before, Rate: 1, By: "mia", Made: noon, Until: noon.Add(time.Minute)}
	if change != nil {
		change(&o)
	}
	return o
}

func call(change func(*Call)) Call {
	c := Call{Run: "r1", Attempt: "r1/s/0-0-1", Tool: "pay.refund", Rung: "primary"}
	if change != nil {
		change(&c)
	}
	return c
}

// rig is an injector with a clock and what it logs.
type rig struct {
	*Injector
	now time.Time
	out bytes.Buffer
}

func newRig(own []Order, stored ...Order) *rig {
	r := &rig{now: noon}
	r.Injector = NewInjector(own, func() time.Time { return r.now }, slog.New(slog.NewTextHandler(&r.out, nil)))
	r.Set(stored)
	return r
}

func noLabels() (map[string]string, error) { return nil, nil }

// TestWhatAnOrderHits: nothing but what it names, and nothing once its time is over.
func TestWhatAnOrderHits(t *testing.T) {
	t.Parallel()
	same := func(*Order) {}
	for name, c := range map[string]struct {
		order func(*Order)
		call  func(*Call)
		after time.Duration
		hit   bool
	}{
		"its tool":                         {same, nil, 0, true},
		"another tool":                     {same, func(c *Call) { c.Tool = "pay.refunds" }, 0, false},
		"its rung":                         {func(o *Order) { o.Rung = "primary" }, nil, 0, true},
		"another rung":                     {func(o *Order) { o.Rung = "backup" }, nil, 0, false},
		"its run":                          {func(o *Order) { o.Run = "r1" }, nil, 0, true},
		"another run":                      {func(o *Order) { o.Run = "r2" }, nil, 0, false},
		"a run whose id begins so":         {func(o *Order) { o.Run = "r" }, nil, 0, false},
		"just before its end":              {same, nil, time.Minute - 1, true},
		"at its end":                       {same, nil, time.Minute, false},
		"a probe that is not named":        {same, func(c *Call) { c.Probe = true }, 0, false},
		"a probe that is named":            {func(o *Order) { o.Rung = "primary" }, func(c *Call) { c.Probe = true }, 0, true},
		"an attempt that was begun before": {same, func(c *Call) { c.Begun = true }, 0, true},
		"a second death of one attempt":    {func(o *Order) { o.Kind, o.Class = Kill, "" }, func(c *Call) { c.Begun = true }, 0, false},
		"a second partition of one":        {func(o *Order) { o.Kind, o.Class = Partition, "" }, func(c *Call) { c.Begun = true }, 0, false},
	} {
		r := newRig(nil, order(c.order))
		r.Kill, r.Cut = func() {}, func(time.Duration) {}
		r.now = noon.Add(c.after)
		if _, hit := r.Pick(call(c.call), noLabels); hit != c.hit {
			t.Errorf("%s: %v", name, hit)
		}
	}
}

// TestTheRateIsAShareAndNoLot: about so many attempts are hit, each worker decides alike about each, and another order picks
// other attempts.
func TestTheRateIsAShareAndNoLot(t *testing.T) {
	t.Parallel()
	a, b := newRig(nil, order(func(o *Order) { o.Rate = .2 })), newRig(nil, order(func(o *Order) { o.Rate = .2 }))
	other := newRig(nil, order(func(o *Order) { o.Rate, o.ID = .2, "a2" }))
	hits, differ := 0, 0
	for i := range 5000 {
		c := call(func(c *Call) { c.Attempt = fmt.Sprintf("r%d/s/0-0-1", i) })
		_, one := a.Pick(c, noLabels)
		_, two := b.Pick(c, noLabels)
		_, again := a.Pick(c, noLabels)
		_, third := other.Pick(c, noLabels)
		if one != two || one != again {
			t.Fatalf("%s is hit by one worker and not by the other", c.Attempt)
		}
		if one {
			hits++
		}
		if one != third {
			differ++
		}
	}
	if hits < 850 || hits > 1150 || differ < 1000 {
		t.Errorf("%d of 5000 are hit; %d differently by another order", hits, differ)
	}
}

// TestLabels: the log of a run is read only where an order asks for labels, and where it cannot be read nothing is injected.
func TestLabels(t *testing.T) {
	t.Parallel()
	acme := order(func(o *Order) { o.Labels = map[string]string{"customer": "acme", "tier": ""} })
	for name, c := range map[string]struct {
		labels map[string]string
		hit    bool
	}{
		"all of them":   {map[string]string{"customer": "acme", "tier": "", "more": "x"}, true},
		"one is absent": {map[string]string{"customer": "acme"}, false},
		"another value": {map[string]string{"customer": "acme2", "tier": ""}, false},
		"none":          {nil, false},
	} {
		if _, hit := newRig(nil, acme).Pick(call(nil), func() (map[string]string, error) { return c.labels, nil }); hit != c.hit {
			t.Errorf("%s: %v", name, hit)
		}
	}
	r := newRig(nil, acme)
	if _, hit := r.Pick(call(nil), func() (map[string]string, error) { return nil, errors.New("no answer") }); hit || !strings.Contains(r.out.String(), "no answer") {
		t.Error("injected without knowing the labels, or silently not:", r.out.String())
	}
	reads := 0
	count := func() (map[string]string, error) { reads++; return nil, nil }
	newRig(nil, order(nil)).Pick(call(nil), count)
	newRig(nil, acme).Pick(call(func(c *Call) { c.Tool = "x" }), count)
	if reads != 0 {
		t.Errorf("%d reads of the log that nobody needs", reads)
	}
}

// TestWhatAWorkerRefuses: by its own tools file, and where more than a worker would die. It says so once.
func TestWhatAWorkerRefuses(t *testing.T) {
	t.Parallel()
	unsafe := func(c *Call) { c.Unsafe = true }
	for name, c := range map[string]struct {
		order func(*Order)
		call  func(*Call)
		says  string // empty = it does it
	}{
		"unsafe effects":             {nil, unsafe, "--unsafe pay.refund"},
		"unsafe effects, and named":  {func(o *Order) { o.Unsafe = "pay.refund" }, unsafe, ""},
		"another name":               {func(o *Order) { o.Unsafe = "pay.charge" }, unsafe, "--unsafe pay.refund"},
		"a death of a whole process": {func(o *Order) { o.Kind = Kill }, nil, "would die with it"},
		"a cut connection":           {func(o *Order) { o.Kind = Partition }, nil, "start a worker of its own"},
	} {
		r := newRig(nil, order(c.order))
		for range 3 {
			if _, hit := r.Pick(call(c.call), noLabels); hit != (c.says == "") {
				t.Errorf("%s: %v", name, hit)
			}
		}
		if lines := strings.Count(r.out.String(), "\n"); c.says != "" && (lines != 1 || !strings.Contains(r.out.String(), c.says) || !strings.Contains(r.out.String(), "fault_id=a1")) {
			t.Errorf("%s: %q", name, r.out.String())
		}
	}
}

// TestWhoseOrders: those of its own settings come first, those of another worker's settings are for people only; what was
// injected is counted.
func TestWhoseOrders(t *testing.T) {
	t.Parallel()
	own := order(func(o *Order) { o.ID, o.Rung = "own", "primary" })
	others := order(func(o *Order) { o.ID, o.Worker, o.Made = "others", "w2", noon.Add(-time.Hour) })
	r := newRig([]Order{own}, others, order(nil))
	for rung, want := range map[string]string{"primary": "own", "backup": "a1"} {
		if o, hit := r.Pick(call(func(c *Call) { c.Rung = rung }), noLabels); !hit || o.ID != want {
			t.Errorf("%s gets %q", rung, o.ID)
		}
	}
	if n := r.Counts(); n["own"] != 1 || n["a1"] != 1 || len(n) != 2 {
		t.Error(n)
	}
	if got := strings.Join(r.Kinds(), " "); got != "fault slow" {
		t.Error(got)
	}
}

// TestCheck: what is wrong with an order is named by the setting.
func TestCheck(t *testing.T) {
	t.Parallel()
	slow := func(o *Order) { o.Kind, o.Class, o.Delay = Slow, "", steps.Duration(time.Second) }
	if o := order(slow); o.Check() != nil {
		t.Error(o.Check())
	}
	for says, change := range map[string]func(*Order){
		"tool is missing":           func(o *Order) { o.Tool = "" },
		`kind "x"`:                  func(o *Order) { o.Kind = "x" },
		`acted "x"`:                 func(o *Order) { o.Acted = "x" },
		"rate 0:":                   func(o *Order) { o.Rate = 0 },
		"rate 1.5:":                 func(o *Order) { o.Rate = 1.5 },
		"for is missing":            func(o *Order) { o.Until = noon },
		"for 25h0m0s: at most 24h":  func(o *Order) { o.Until = noon.Add(25 * time.Hour) },
		"must repeat the tool's":    func(o *Order) { o.Unsafe = "pay.charge" },
		"reason: at most":           func(o *Order) { o.Reason = strings.Repeat("x", 201) },
		"class is missing":          func(o *Order) { o.Class = "" },
		"a call cannot end so":      func(o *Order) { o.Class = steps.NoWorker },
		"class is for kind fault":   func(o *Order) { slow(o); o.Class = steps.Timeout },
		"retry-after is for kind":   func(o *Order) { slow(o); o.RetryAfter = 1 },
		"retry-after: must not":     func(o *Order) { o.RetryAfter = -1 },
		"delay is missing":          func(o *Order) { slow(o); o.Delay = 0 },
		"delay: at most 24h":        func(o *Order) { slow(o); o.Delay = steps.Duration(25 * time.Hour) },
		"delay is for the kinds":    func(o *Order) { o.Delay = 1 },
		"unavailable, connection":   func(o *Order) { o.Class = "gone" }, // the list of what there is
		"not for kind kill":         func(o *Order) { o.Kind = Kill },
		"kind slow needs it":        func(o *Order) { slow(o); o.Delay = -1 },
		"so that nobody forgets it": func(o *Order) { o.Until = noon.AddDate(1, 0, 0) },
	} {
		if o := order(change); o.Check() == nil || !strings.Contains(o.Check().Error(), says) {
			t.Errorf("%s: %v", says, o.Check())
		}
	}
	for _, c := range Classes() {
		if !c.Known() {
			t.Errorf("%s is not a class", c)
		}
	}
}
