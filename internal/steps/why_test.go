package steps

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWhy tells the stories of testdata/why: commands as in other stories, and `why [unserved TOOL/RUNG DURATION]`, with
// what a run waits for and what will happen below it.
func TestWhy(t *testing.T) {
	files, err := filepath.Glob("testdata/why/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runWhy(t, f) })
	}
}

func runWhy(t *testing.T, file string) {
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	st := newStory(t)
	var out bytes.Buffer
	for line := range strings.Lines(string(old)) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line)
		switch w := strings.Fields(line); {
		case len(w) == 0 || w[0] == "#":
		case w[0] == "why":
			out.WriteString(st.why(w[1:]))
		default:
			st.command(strings.TrimSpace(line))
		}
	}
	st.check()
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(old) {
		t.Errorf("the story goes differently now (run with -update and review):\n%s", out.String())
	}
}

func (st *story) why(w []string) string {
	o := Foresight{Now: st.now}
	if len(w) == 3 {
		asks := st.now.Add(mustDuration(w[2]))
		o.Unserved = func(tool, rung string) (time.Time, bool) { return asks, tool+"/"+rung == w[1] }
	}
	return written(MakeWhy(st.state, o))
}

// written is what people could be shown.
func written(w Why) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s at %s\n", w.State, w.At.Sub(epoch))
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Sub(epoch).String()
	}
	for _, x := range w.Waits {
		fmt.Fprintf(&b, "  %s waits for %s: %s; since %s, until %s", orElse(x.Step, "the run"), x.For, x.Text, at(x.Since), at(x.Until))
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
	files, _ := filepath.Glob("testdata/*.txt")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			st := newStory(t)
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimRight(line, "\n"); line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "#") {
					continue
				}
				st.command(line)
				if st.state == nil {
					continue
				}
				before := picture(st.state)
				w := MakeWhy(st.state, Foresight{Now: st.now})
				if after := picture(st.state); after != before {
					t.Fatalf("%s: asking has changed the run to\n%s\nfrom\n%s", line, after, before)
				}
				checkWhy(t, st.state, w)
			}
			st.check()
		})
	}
}

// checkWhy: a run that has not ended waits for something, and its future ends with its end, or says what keeps it.
func checkWhy(t *testing.T, s *State, w Why) {
	if s.Status().Ended() {
		if len(w.Waits)+len(w.Then) > 0 {
			t.Errorf("it has ended, and waits: %+v", w)
		}
		return
	}
	last := []Happens{HappensEnd, HappensAny, HappensNever}
	if len(w.Waits) == 0 || len(w.Then) == 0 || !slices.Contains(last, w.Then[len(w.Then)-1].What) {
		t.Errorf("%s", written(w))
	}
	if !slices.IsSortedFunc(w.Then, func(a, b Happening) int { return compare(a.At, b.At) }) {
		t.Errorf("not in order:\n%s", written(w))
	}
}

// TestACloneSharesOnlyWhatIsNeverWritten: whoever adds a field that is written in place must copy it too.
func TestACloneSharesOnlyWhatIsNeverWritten(t *testing.T) {
	known := map[reflect.Type][]string{
		reflect.TypeFor[State](): {"Program", "Input", "Labels", "Submitted", "Now", "Ended", "endingFrom", "from", "Units", "Escalations", "Output",
			"decoded", "carried", "faults", "alarms", "completed", "denials", "heard"},
		reflect.TypeFor[Unit]():          {"Params", "Output", "Deadline", "Attempts", "Degraded", "Fault", "Rejected", "notBefore", "giving", "grants", "counts", "fan"},
		reflect.TypeFor[Escalation]():    {"Approvals", "votes", "Question", "Deadline", "Fault", "Allowed", "Opened", "Ended", "Decision"},
		reflect.TypeFor[AttemptRecord](): {"Fault", "Queued", "Started", "Ended", "Lost", "begun"},
		reflect.TypeFor[fan]():           {"items"},
	}
	for typ, fields := range known {
		for f := range typ.Fields() {
			if shares(f.Type) && !slices.Contains(fields, f.Name) {
				t.Errorf("%s.%s may be shared with a clone: copy it in clone where it is written in place, then name it here", typ.Name(), f.Name)
			}
		}
	}
}

func shares(t reflect.Type) bool {
	return slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Struct, reflect.Func}, t.Kind())
}

// BenchmarkWhy asks about ten thousand items of one run, each of which waits for a person with a deadline.
func BenchmarkWhy(b *testing.B) {
	const items = 10_000
	list := strings.TrimSuffix(strings.Repeat("1,", items), ",")
	st := &story{t: nil, world: newWorld(b), plan: &testPlan{when: map[string]string{}, with: map[string]string{}, forEach: map[string]string{}, undoWith: map[string]string{}}}
	st.plan.Tools = map[string]Tool{}
	for _, line := range []string{"tool ask rungs=human,cached ask=5m on_ask=fallback", "step a tool=ask for_each=json:[" + list + "] max_parallel=10000"} {
		st.command(line)
	}
	s, _ := Apply(nil, Record{Seq: 1, Time: epoch, Run: "r", Event: Submitted{Epoch: Epoch, Program: st.plan.program(), Input: []byte(`{}`)}})
	for b.Loop() {
		if w := MakeWhy(s, Foresight{Now: epoch}); len(w.Then) == 0 {
			b.Fatal(w)
		}
	}
}
