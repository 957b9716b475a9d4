package schema_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/plan"
	"belay/internal/schema"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
	"belay/internal/wire"
)

// schemas are those of all kinds of documents, compiled.
type schemas map[string]func(json.RawMessage) error

func compiled(t *testing.T) schemas {
	t.Helper()
	all := schemas{}
	for _, kind := range schema.Kinds() {
		text, err := schema.Of(kind)
		if err != nil {
			t.Fatal(err)
		}
		if all[kind], err = plan.CompileSchema(text); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	return all
}

func (s schemas) check(t *testing.T, kind string, v any) {
	t.Helper()
	text, is := v.([]byte)
	if !is {
		var err error
		if text, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := s[kind](text); err != nil {
		t.Errorf("%s: %v\n%s", kind, err, text)
	}
}

// TestStories: in every story of the core, at every line, what is shown of the run, what crosses the queue and what is in
// the log fits its schema.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../steps/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	all, seen := compiled(t), map[string]int{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		st := stepstest.NewStory(t)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\n"); line == "" || line[0] == '#' || line[0] == ' ' || line[0] == '\t' {
				continue
			}
			st.Command(line)
			if st.State != nil {
				all.shown(t, st.State)
			}
		}
		for _, m := range st.Queue {
			all.check(t, "step", wire.EncodeStep(m))
		}
		doc, err := json.Marshal(st.Plan.Definition) // stories compile their plan without a document
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slices.Concat(st.Before, st.Records) {
			switch e := r.Event.(type) {
			case steps.Junk:
				continue // no program writes it
			case steps.Submitted:
				e.Document = doc
				r.Event = e
			case steps.Migrated:
				e.Next.Document = doc
				r.Event = e
			}
			seen[all.logged(t, r)]++
		}
		if t.Failed() {
			t.Fatal(filepath.Base(f))
		}
	}
	said := steps.Progress{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w", Message: "half of it"} // which changes nothing, so no story tells it
	seen[all.logged(t, steps.Record{Seq: 1, Time: stepstest.Start, Run: "r", Event: said})]++
	for _, e := range events {
		if name := nameOf(t, e); seen[name] == 0 {
			t.Errorf("no story has a %s", name)
		}
	}
}

// shown checks what people and programs are shown of a run.
func (s schemas) shown(t *testing.T, run *steps.State) {
	t.Helper()
	s.check(t, "run", view.Show(run))
	s.check(t, "why", view.WhyOf(run, view.Foresight{Now: run.Now.Add(time.Second)}))
	for n := range run.Escalations {
		s.check(t, "dossier", handoff.Document{Dossier: view.DossierOf(run, n), Trail: []handoff.TrailLine{}})
		s.check(t, "dossier", handoff.Document{Dossier: view.EndedDossierOf(nil, run, n), Trail: []handoff.TrailLine{}})
	}
}

// logged checks an entry of a log, and gives the type of its event.
func (s schemas) logged(t *testing.T, r steps.Record) string {
	t.Helper()
	kind, body, err := wire.EncodeEvent(r.Event)
	if err != nil {
		t.Fatal(err)
	}
	s.check(t, "events", map[string]any{"seq": r.Seq, "time": r.Time, "subject": "belay.runs.0." + r.Run + "." + kind, "event": json.RawMessage(body)})
	if kind == wire.KindOutcome {
		s.check(t, "outcome", body)
	}
	return nameOf(t, r.Event)
}

func nameOf(t *testing.T, e steps.Event) string {
	t.Helper()
	_, body, err := wire.EncodeEvent(e)
	var head struct{ Type string }
	if err != nil || json.Unmarshal(body, &head) != nil {
		t.Fatal(err)
	}
	return head.Type
}
