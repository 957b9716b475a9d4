package pages

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
)

const (
	sampleEvery = 15 * time.Second
	samplesKept = 24 * 60 * 4 // a day of them
	topClasses  = 8
)

// trends are counts of the inbox since this process started. They come from looking at it regularly, so that what was opened
// and closed between two looks is not in them. They are for people; use the metrics for alerts and long histories.
type trends struct {
	mu      sync.Mutex
	began   time.Time
	samples []sample
	open    map[string]seen     // the open items at the last look
	classes map[steps.Class]int // items seen, by class
	waited  []time.Duration     // how long closed items were open, the newest last
}

type sample struct {
	At      time.Time
	Open    map[steps.EscalationKind]int
	Settled int
}

type seen struct{ opened time.Time }

const waitedKept = 1000

func newTrends(now time.Time) *trends {
	return &trends{began: now, open: map[string]seen{}, classes: map[steps.Class]int{}}
}

// Watch collects the trends until ctx ends.
func (c *Console) Watch(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		items, err := c.o.Desk.Items(ctx)
		if err == nil {
			c.trends.look(items, c.o.Now())
		} else if ctx.Err() == nil {
			c.o.Logger.DebugContext(ctx, "cannot look at the inbox for the trends", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look counts one state of the inbox. Items that are not there any more have been closed.
func (t *trends) look(items []handoff.Item, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := sample{At: now, Open: map[steps.EscalationKind]int{}}
	is := make(map[string]seen, len(items))
	for i := range items {
		it := &items[i]
		s.Open[it.Kind]++
		is[it.ID] = seen{it.Opened}
		if _, before := t.open[it.ID]; !before && it.Class != "" {
			t.classes[it.Class]++
		}
	}
	for id, was := range t.open {
		if _, still := is[id]; !still {
			s.Settled++
			t.waited = append(t.waited, now.Sub(was.opened))
		}
	}
	t.waited = t.waited[max(0, len(t.waited)-waitedKept):]
	t.open = is
	t.samples = append(t.samples, s)
	t.samples = t.samples[max(0, len(t.samples)-samplesKept):]
}

type trendsView struct {
	Since   moment
	Span    string
	Open    []trendLine
	Settled trendLine
	Median  string // time to decision
	Slowest string
	Classes []classCount
	Looks   int
}

// trendLine is a number over time, drawn on a field of 240 by 40.
type trendLine struct {
	Name   string
	Now    int
	Most   int
	Points string
}

type classCount struct {
	Class string
	Count int
	Width string // of its bar, in thousandths
}

func (c *Console) showTrends(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, http.StatusOK, "trends", page{Title: "Trends", Nav: "trends", Body: c.trends.view(c.o.Now())})
}

func (t *trends) view(now time.Time) trendsView {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := trendsView{Since: at(t.began, now), Span: span(now.Sub(t.began)), Looks: len(t.samples), Classes: t.top()}
	for _, k := range steps.EscalationKinds() {
		if l := t.line(kindWords[k], false, func(s sample) int { return s.Open[k] }); l.Most > 0 {
			v.Open = append(v.Open, l)
		}
	}
	v.Settled = t.line("settled", true, func(s sample) int { return s.Settled })
	if n := len(t.waited); n > 0 {
		sorted := slices.Sorted(slices.Values(t.waited))
		v.Median, v.Slowest = span(sorted[n/2]), span(sorted[n-1])
	}
	return v
}

// kindWords are the names of the kinds on a page.
var kindWords = map[steps.EscalationKind]string{
	steps.KindApproval: "approval", steps.KindFailure: "failure", steps.KindUnknown: "unknown outcome",
	steps.KindQuestion: "question", steps.KindLimit: "agent's limit", steps.KindDeadline: "deadline", steps.KindDeadLetter: "dead letter",
}

func (t *trends) top() []classCount {
	var list []classCount
	for _, class := range slices.SortedFunc(maps.Keys(t.classes), func(a, b steps.Class) int {
		return cmp.Or(cmp.Compare(t.classes[b], t.classes[a]), cmp.Compare(a, b))
	}) {
		list = append(list, classCount{Class: string(class), Count: t.classes[class]})
	}
	list = list[:min(topClasses, len(list))]
	for i := range list {
		list[i].Width = decimal(1000 * float64(list[i].Count) / float64(list[0].Count))
	}
	return list
}

// line draws one count over all samples. Many samples share a point, which is their maximum, or their sum.
func (t *trends) line(name string, sum bool, of func(sample) int) trendLine {
	const points, width, height = 120, 240.0, 36.0
	l := trendLine{Name: name}
	per := max(1, (len(t.samples)+points-1)/points)
	var values []int
	for chunk := range slices.Chunk(t.samples, per) {
		v := 0
		for _, s := range chunk {
			if sum {
				v += of(s)
			} else {
				v = max(v, of(s))
			}
		}
		values = append(values, v)
		l.Most = max(l.Most, v)
		if sum {
			l.Now += v
		} else {
			l.Now = of(chunk[len(chunk)-1])
		}
	}
	var b strings.Builder
	for i, v := range values {
		x := width * float64(i) / float64(max(1, len(values)-1))
		y := 38 - height*float64(v)/float64(max(1, l.Most))
		b.WriteString(decimal(x) + "," + decimal(y) + " ")
	}
	l.Points = strings.TrimSpace(b.String())
	if len(values) == 1 {
		l.Points += " " + strconv.Itoa(int(width)) + "," + strings.SplitN(l.Points, ",", 2)[1]
	}
	return l
}
