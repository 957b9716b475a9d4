package steps_test

import (
	"encoding/json"
	"testing"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// TestReportsOfAnotherTool: whoever may report of some tools alone moves no step of another one, whatever they say.
func TestReportsOfAnotherTool(t *testing.T) {
	t.Parallel()
	a := steps.Attempt{Step: "s0", Try: 1}
	for name, e := range map[string]steps.Event{
		"started":   steps.Started{Attempt: a, Worker: "w", Delivery: "d"},
		"progress":  steps.Progress{Attempt: a, Worker: "w", Message: "half"},
		"resumable": steps.Resumable{Attempt: a, Worker: "w", Resume: steps.Resume{Value: json.RawMessage(`1`)}},
		"succeeded": steps.Succeeded{Attempt: a, Worker: "w", Output: json.RawMessage(`1`)},
		"failed":    steps.Failed{Attempt: a, Worker: "w", Fault: steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo}},
		"refused":   steps.Failed{Attempt: a, Worker: "w", Fault: steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo}},
		"objected":  steps.Objected{Attempt: a, Worker: "w", Asks: nil},
		"claimed":   steps.Claimed{Attempt: a, Worker: "w"},
		"withdrawn": steps.Claimed{Attempt: a},
		"early":     steps.Succeeded{Attempt: steps.Attempt{Step: "s1", Try: 1}, Worker: "w"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := steps.Apply(nil, steps.Record{Seq: 1, Time: stepstest.Start, Run: "r", Event: steps.Submitted{Program: chain(2), Input: json.RawMessage(`{}`), Epoch: steps.Epoch}})
			r := steps.Record{Seq: 2, Time: stepstest.Start, Run: "r", Event: e, Tool: "other"}
			s, touched := steps.Apply(s, r)
			if !s.Foreign(r) || s.Units[0].Phase() != steps.PhaseQueued || len(s.Escalations) > 0 {
				t.Fatalf("foreign %v, %s, %d questions", s.Foreign(r), s.Units[0].Phase(), len(s.Escalations))
			}
			if note := s.Units[0].Current().Note; (name == "early") != (note == "") || (name == "early") != (len(touched) == 0) {
				t.Errorf("people read %q, touched %v", note, touched)
			}
			s, touched = steps.Apply(s, steps.Record{Seq: 3, Time: stepstest.Start, Run: "r", Event: steps.Succeeded{Attempt: a, Worker: "w", Output: json.RawMessage(`1`)}, Tool: "t"})
			if s.Units[0].Phase() != steps.PhaseSucceeded {
				t.Fatalf("its own worker: %s", s.Units[0].Phase())
			}
			if w := steps.Wants(s, touched); len(w.Steps) != 1 || w.Steps[0].Try != 1 {
				t.Errorf("the next step: %+v", w.Steps)
			}
		})
	}
}

// TestARefusalUnderAStrangeName: a message of this tool's queue that names a step of another tool is somebody's forgery, of which people hear.
func TestARefusalUnderAStrangeName(t *testing.T) {
	t.Parallel()
	s, _ := steps.Apply(nil, steps.Record{Seq: 1, Time: stepstest.Start, Run: "r", Event: steps.Submitted{Program: chain(1), Input: json.RawMessage(`{}`), Epoch: steps.Epoch}})
	refused := steps.Failed{Attempt: steps.Attempt{Step: "s0", Round: 7, Try: 1}, Worker: "w", Fault: steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo}}
	s, _ = steps.Apply(s, steps.Record{Seq: 2, Time: stepstest.Start, Run: "r", Event: refused, Tool: "other"})
	if len(s.Escalations) != 1 {
		t.Fatalf("%d questions", len(s.Escalations))
	}
}

// TestTheFirstClaimCounts: workers that claim those of their own tools alone do so on another subject than whoever takes an attempt back, so
// that both can be stored. The log says who was first.
func TestTheFirstClaimCounts(t *testing.T) {
	t.Parallel()
	a := steps.Attempt{Step: "s0", Try: 1}
	worker := steps.Record{Event: steps.Claimed{Attempt: a, Worker: "w"}, Tool: "t"}
	back := steps.Record{Event: steps.Claimed{Attempt: a}}
	for name, tt := range map[string]struct {
		claims []steps.Record
		want   steps.Phase
	}{
		"the worker":     {[]steps.Record{worker, back}, steps.PhaseRunning},
		"the dispatcher": {[]steps.Record{back, worker}, steps.PhaseCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := &stepstest.Plan{}
			plan.Plan.Name, plan.Plan.Steps = "pay", []steps.Step{{ID: "s0", Tool: "t"}}
			unsafe := stepstest.ParseTool("t", nil)
			unsafe.Effects = steps.EffectsUnsafe
			plan.Tools = map[string]steps.Tool{"t": unsafe}
			s, _ := steps.Apply(nil, steps.Record{Seq: 1, Time: stepstest.Start, Run: "r", Event: steps.Submitted{Program: plan.Program(), Input: json.RawMessage(`{}`), Epoch: steps.Epoch}})
			s, touched := steps.Apply(s, steps.Record{Seq: 2, Time: stepstest.Start, Run: "r", Event: steps.Cancelled{}})
			if w := steps.Wants(s, touched); len(w.Withdraw) != 1 {
				t.Fatalf("%+v", w)
			}
			for n, r := range tt.claims {
				r.Seq, r.Time, r.Run = uint64(3+n), stepstest.Start, "r"
				s, _ = steps.Apply(s, r)
			}
			if got := s.Units[0].Phase(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
