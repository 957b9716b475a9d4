package view_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestWhy tells the stories of testdata/why: commands as in other stories, and `why [unserved TOOL/RUNG DURATION | limited UNIT LIMIT]`, with
// what a run waits for and what will happen below it.
func TestWhy(t *testing.T) {
	t.Parallel()
	stepstest.Stories(t, "testdata/why/*.txt", func(st *stepstest.Story, line string) string {
		if w := strings.Fields(line); w[0] == "why" {
			return why(st, w[1:])
		}
		st.Command(line)
		return ""
	})
}

func why(st *stepstest.Story, w []string) string {
	o := view.Foresight{Now: st.Now}
	if len(w) == 3 && w[0] == "limited" {
		o.Limited = func(i int) *steps.Hold {
			if st.State.Units[i].ID != w[1] {
				return nil
			}
			return &steps.Hold{Why: steps.HoldWhy(w[2]), Covers: st.State.Tool(i).Name, Since: stepstest.Start}
		}
		return written(view.WhyOf(st.State, o))
	}
	if len(w) == 3 {
		asks := st.Now.Add(stepstest.Duration(w[2]))
		o.Unserved = func(tool, rung string) (time.Time, bool) { return asks, tool+"/"+rung == w[1] }
	}
	return written(view.WhyOf(st.State, o))
}

// written is what people could be shown.
func written(w view.Why) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s at %s\n", w.State, w.At.Sub(stepstest.Start))
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Sub(stepstest.Start).String()
	}
	for _, x := range w.Waits {
		fmt.Fprintf(&b, "  %s waits for %s: %s; since %s, until %s", cmp.Or(x.Step, "the run"), x.For, x.Text, at(x.Since), at(x.Until))
		if x.Count > 1 {
			fmt.Fprintf(&b, " (%d)", x.Count)
		}
		b.WriteString("\n")
	}
	for _, h := range w.Then {
		fmt.Fprintf(&b, "    %s (in %s) %s %s: %s", at(h.At), h.In, h.What, h.Step, h.Text)
		if h.Count > 1 {
			fmt.Fprintf(&b, " (%d)", h.Count)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestWhyLeavesTheRunAlone: at every moment of every story the same state is there after it was asked, and goes on to
// be what a fold that nobody asked comes to.
func TestWhyLeavesTheRunAlone(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../testdata/*.txt")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			st := stepstest.NewStory(t)
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimRight(line, "\n"); line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "#") {
					continue
				}
				st.Command(line)
				if st.State == nil {
					continue
				}
				before := stepstest.Picture(st.State)
				w := view.WhyOf(st.State, view.Foresight{Now: st.Now})
				if after := stepstest.Picture(st.State); after != before {
					t.Fatalf("%s: asking has changed the run to\n%s\nfrom\n%s", line, after, before)
				}
				checkWhy(t, st.State, w)
			}
			st.Check()
		})
	}
}

// checkWhy: a run that has not ended waits for something, and its future ends with its end, or says what keeps it.
func checkWhy(t *testing.T, s *steps.State, w view.Why) {
	if s.Status().Ended() {
		if len(w.Waits)+len(w.Then) > 0 {
			t.Errorf("it has ended, and waits: %+v", w)
		}
		return
	}
	last := []view.Happens{view.HappensEnd, view.HappensAny, view.HappensNever}
	if len(w.Waits) == 0 || len(w.Then) == 0 || !slices.Contains(last, w.Then[len(w.Then)-1].What) {
		t.Errorf("%s", written(w))
	}
	if !slices.IsSortedFunc(w.Then, func(a, b view.Happening) int { return inOrder(a.At, b.At) }) {
		t.Errorf("not in order:\n%s", written(w))
	}
}

// BenchmarkWhy asks about ten thousand items of one run, each of which waits for a person with a deadline.
func BenchmarkWhy(b *testing.B) {
	const items = 10_000
	list := strings.TrimSuffix(strings.Repeat("1,", items), ",")
	st := stepstest.NewStory(b)
	for _, line := range []string{"tool ask rungs=human,cached ask=5m on_ask=fallback", "step a tool=ask for_each=json:[" + list + "] max_parallel=10000"} {
		st.Command(line)
	}
	s, _ := steps.Apply(nil, steps.Record{Seq: 1, Time: stepstest.Start, Run: "r", Event: steps.Submitted{Epoch: steps.Epoch, Program: st.Plan.Program(), Input: []byte(`{}`)}})
	for b.Loop() {
		if w := view.WhyOf(s, view.Foresight{Now: stepstest.Start}); len(w.Then) == 0 {
			b.Fatal(w)
		}
	}
}

// inOrder compares times of which nil is the last.
func inOrder(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}
