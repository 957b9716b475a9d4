package gates

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// TestWhatAGateCovers: nothing but what fits all that is given.
func TestWhatAGateCovers(t *testing.T) {
	t.Parallel()
	call := Call{Run: "r1", Plan: "refund", Tool: "payments.refund", Labels: map[string]string{"tenant": "acme", "tier": "2"}, Target: func() string { return "api.bank.example:8443" }}
	for name, c := range map[string]struct {
		covers Covers
		fits   bool
	}{
		"all":                     {Covers{All: true}, true},
		"its tool":                {Covers{Tool: "payments.refund"}, true},
		"a pattern of its tool":   {Covers{Tool: "payments.*"}, true},
		"a pattern in the middle": {Covers{Tool: "pay*.re*d"}, true},
		"another tool":            {Covers{Tool: "payments.refunds"}, false},
		"a pattern that overlaps": {Covers{Tool: "payments.refund*refund"}, false},
		"the beginning alone":     {Covers{Tool: "payments"}, false},
		"its plan":                {Covers{Plan: "refund"}, true},
		"another plan":            {Covers{Plan: "payout"}, false},
		"its run":                 {Covers{Run: "r1"}, true},
		"a run is no pattern":     {Covers{Run: "r*"}, false},
		"its target":              {Covers{Target: "*.bank.example:*"}, true},
		"another target":          {Covers{Target: "bank.example"}, false},
		"its label":               {Covers{Labels: map[string]string{"tenant": "acme"}}, true},
		"one label of two":        {Covers{Labels: map[string]string{"tenant": "acme", "tier": "1"}}, false},
		"a label that it has not": {Covers{Labels: map[string]string{"team": "*"}}, false},
		"tool and plan":           {Covers{Tool: "payments.*", Plan: "refund"}, true},
		"tool and another plan":   {Covers{Tool: "payments.*", Plan: "payout"}, false},
	} {
		if got := c.covers.Fits(&call); got != c.fits {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTheLogTellsAGate: what the log of a run says of a gate is enough to make it again.
func TestTheLogTellsAGate(t *testing.T) {
	t.Parallel()
	word := rapid.StringMatching(`[a-zA-Z0-9._*:/~-]{1,20}`)
	rapid.Check(t, func(t *rapid.T) {
		g := Gate{ID: "g1", By: "mia", Reason: "because: it is", Since: noon, Until: noon.Add(time.Hour)}
		some := func(name string) string {
			if !rapid.Bool().Draw(t, name) {
				return ""
			}
			return word.Draw(t, name)
		}
		g.Covers = Covers{Run: some("run"), Plan: some("plan"), Tool: some("tool"), Target: some("target")}
		for range rapid.IntRange(0, 3).Draw(t, "labels") {
			if g.Covers.Labels == nil {
				g.Covers.Labels = map[string]string{}
			}
			g.Covers.Labels[word.Draw(t, "label")] = word.Draw(t, "value") + "=" + some("rest")
		}
		if g.Covers.Check() != nil {
			g.Covers = Covers{All: true}
		}
		got, err := OfHold(g.Hold())
		if diff := cmp.Diff(g, got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

// TestCheck: what is wrong with a gate is named by the setting.
func TestCheck(t *testing.T) {
	t.Parallel()
	good := Gate{ID: "g1", By: "mia", Reason: "so", Since: noon, Covers: Covers{All: true}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Gate){
		"reason is missing":         func(g *Gate) { g.Reason = " " },
		"reason: at most":           func(g *Gate) { g.Reason = strings.Repeat("x", 201) },
		`id "a b"`:                  func(g *Gate) { g.ID = "a b" },
		"for: must be longer":       func(g *Gate) { g.Until = noon },
		"for: at most a year":       func(g *Gate) { g.Until = noon.AddDate(2, 0, 0) },
		"say what the gate is to":   func(g *Gate) { g.Covers = Covers{} },
		"all is everything":         func(g *Gate) { g.Covers.Plan = "p" },
		"must be name=value":        func(g *Gate) { g.Covers = Covers{Labels: map[string]string{"a": ""}} },
		"without blanks, and at mo": func(g *Gate) { g.Covers = Covers{Tool: "a b"} },
	} {
		g := good
		change(&g)
		if err := g.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestProgress: nothing is confirmed before every partition has said so, of this closing.
func TestProgress(t *testing.T) {
	t.Parallel()
	g := Gate{ID: "g1", Since: noon}
	at := noon.Add(2 * time.Second)
	d := func(p, waits, runs int) Drain {
		return Drain{Gate: "g1", Since: noon, Partition: p, Waits: waits, Runs: runs, Which: []string{"r/a/0-0-1"}, At: at}
	}
	before := d(1, 0, 0)
	before.Since = noon.Add(-time.Hour)
	for name, c := range map[string]struct {
		said            map[int]Drain
		confirmed, over bool
	}{
		"nobody has answered":         {nil, false, false},
		"one has":                     {map[int]Drain{0: d(0, 0, 0)}, false, false},
		"one of an earlier closing":   {map[int]Drain{0: d(0, 0, 0), 1: before}, false, false},
		"something may begin":         {map[int]Drain{0: d(0, 0, 0), 1: d(1, 1, 0)}, false, false},
		"something runs":              {map[int]Drain{0: d(0, 0, 1), 1: d(1, 0, 0)}, true, false},
		"nothing runs":                {map[int]Drain{0: d(0, 0, 0), 1: d(1, 0, 0)}, true, true},
		"a partition too many is no ": {map[int]Drain{0: d(0, 0, 0), 1: d(1, 0, 0), 2: d(2, 5, 5)}, true, true},
	} {
		p := progressOf(g, 2, c.said)
		if p.Confirmed() != c.confirmed || p.Over() != c.over || (p.Drained != nil) != c.over {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
