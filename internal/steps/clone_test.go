package steps

import (
	"reflect"
	"slices"
	"testing"
)

// TestACloneSharesOnlyWhatIsNeverWritten: whoever adds a field that is written in place must copy it too.
func TestACloneSharesOnlyWhatIsNeverWritten(t *testing.T) {
	t.Parallel()
	known := map[reflect.Type][]string{
		reflect.TypeFor[State](): {"Program", "Input", "Labels", "Submitted", "Scheduled", "Began", "Now", "Ended", "endingFrom", "clock", "Units", "Escalations", "Output",
			"decoded", "carried", "faults", "alarms", "early", "completed", "damages", "denials", "heard", "proof", "submission", "keyRuns", "Replay", "Migrates", "migrated"},
		reflect.TypeFor[Unit]():          {"Params", "Output", "Deadline", "Attempts", "Degraded", "Fault", "Rejected", "origin", "out", "ladder", "permit", "fan", "loop", "onward", "hold", "limit"},
		reflect.TypeFor[holding]():       {"Hold", "from", "notBefore"},
		reflect.TypeFor[Hold]():          {"Since", "Until"},
		reflect.TypeFor[origin]():        {},
		reflect.TypeFor[outgoing]():      {"notBefore", "recall"},
		reflect.TypeFor[ladder]():        {"faults", "doubted", "broken"},
		reflect.TypeFor[rungCount]():     {"faults"},
		reflect.TypeFor[permit]():        {"grants"},
		reflect.TypeFor[Escalation]():    {"Approvals", "ApprovalSeqs", "Question", "Resume", "Deadline", "Fault", "Allowed", "Opened", "Ended", "Decision"},
		reflect.TypeFor[AttemptRecord](): {"Fault", "Queued", "Started", "Ended", "Lost", "Usage", "begun", "claimed", "mayRunUntil", "Left", "Continues"},
		reflect.TypeFor[fan]():           {"items"},
		reflect.TypeFor[loop]():          {"turns", "summaries", "extra", "made", "unsettled", "hold", "clock", "notes", "kept"},
		reflect.TypeFor[turn]():          {"calls"},
		reflect.TypeFor[summary]():       {"hold"},
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
