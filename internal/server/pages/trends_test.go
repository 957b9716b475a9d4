package pages

import (
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

func openItem(id string, kind steps.EscalationKind, class steps.Class, opened time.Time) handoff.Item {
	return handoff.Item{Escalation: view.Escalation{ID: id, Kind: kind, Class: class, Opened: opened}}
}

func TestTrendsCountWhatCameAndWent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	tr := newTrends(now)
	a := openItem("a", steps.KindFailure, steps.Timeout, now.Add(-time.Minute))
	b := openItem("b", steps.KindFailure, steps.Timeout, now.Add(-3*time.Minute))
	c := openItem("c", steps.KindApproval, "", now)
	tr.look([]handoff.Item{a, b}, now)
	tr.look([]handoff.Item{a, b, c}, now.Add(15*time.Second))
	tr.look([]handoff.Item{c}, now.Add(time.Minute))
	v := tr.view(now.Add(time.Minute))
	if v.Settled.Now != 2 || v.Median != "4m 00s" || v.Slowest != "4m 00s" {
		t.Errorf("settled %d, median %s, slowest %s", v.Settled.Now, v.Median, v.Slowest)
	}
	if !slices.Equal(v.Classes, []classCount{{"timeout", 2, "1000.0"}}) {
		t.Errorf("classes %+v", v.Classes)
	}
	if len(v.Open) != 2 || v.Open[0].Name != "approval" || v.Open[0].Now != 1 || v.Open[1].Now != 0 || v.Open[1].Most != 2 {
		t.Errorf("open %+v", v.Open)
	}
	if want := "0.0,2.0 120.0,2.0 240.0,38.0"; v.Open[1].Points != want {
		t.Errorf("points %s, want %s", v.Open[1].Points, want)
	}
}

func TestTrendsStaySmall(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	tr := newTrends(now)
	for n := range samplesKept + 500 {
		var list []handoff.Item
		if n%2 == 0 {
			list = append(list, openItem("x", steps.KindFailure, steps.Timeout, now))
		}
		tr.look(list, now)
	}
	if len(tr.samples) != samplesKept || len(tr.waited) != waitedKept {
		t.Errorf("%d samples, %d waits are kept", len(tr.samples), len(tr.waited))
	}
	if l := tr.view(now).Open[0]; len(strings.Fields(l.Points)) > 120 {
		t.Errorf("%d points", len(strings.Fields(l.Points)))
	}
}
