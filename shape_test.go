package belay

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"belay/belaytype"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/limits"
	"belay/internal/passkey"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/score"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// TestPublicTypesHaveTheInternalShape: what programs get has the JSON that commands print. Every field of the internal
// type is filled, so that one which is forgotten is missed.
func TestPublicTypesHaveTheInternalShape(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]any{
		"document": both(document), "dossier": both(dossier), "escalation": both(escalation), "summary": both(summary),
		"fault": both(faultShown), "decided": both(func(d steps.Decided) *belaytype.Decided { return decided(&d) }),
	} {
		inside, err := json.Marshal(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		outside, err := json.Marshal(pair[1])
		if err != nil {
			t.Fatal(err)
		}
		if string(inside) != string(outside) {
			t.Errorf("%s:\ninside  %s\noutside %s", name, inside, outside)
		}
	}
	for name, check := range map[string]func(*testing.T){
		"schedule": same[schedules.Schedule, belaytype.Schedule], "firing": same[schedules.Firing, belaytype.Firing], "gate": same[gates.Progress, belaytype.Gate], "limit": same[limits.Limit, belaytype.Limit],
		"how it goes": same[score.Report, belaytype.HowItGoes], "cause": same[score.CauseReport, belaytype.Cause], "passkey": same[passkey.Passkey, belaytype.Passkey], "replay": same[steps.Replay, belaytype.Replay], "migration": same[steps.Migration, belaytype.Migration],
		"removed": same[handoff.Removed, belaytype.Removed], "archived": same[runlog.ArchiveRun, belaytype.Archived], "archive": same[runlog.ArchiveEnd, belaytype.Archive],
	} {
		t.Run(name, check)
	}
	for _, pair := range [][2]any{{runlog.Filter{}, belaytype.Filter{}}, {runlog.Page{}, belaytype.Page{}}, {yamldoc.Problem{}, belaytype.Problem{}}} {
		if a, b := reflect.TypeOf(pair[0]), reflect.TypeOf(pair[1]); a.NumField() != b.NumField() {
			t.Errorf("%s has %d fields, %s has %d", a, a.NumField(), b, b.NumField())
		}
	}
}

// same fills an internal type, and compares its JSON with that of what programs get.
func same[A, B any](t *testing.T) {
	t.Parallel()
	var a A
	fill(reflect.ValueOf(&a).Elem(), 0)
	b, err := as[B](a)
	if err != nil {
		t.Fatal(err)
	}
	if inside, outside := sorted(t, a), sorted(t, b); inside != outside {
		t.Errorf("inside  %s\noutside %s", inside, outside)
	}
}

// sorted is the JSON of a value with its keys in order.
func sorted(t *testing.T, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	var all any
	if err == nil {
		err = json.Unmarshal(body, &all)
	}
	if err == nil {
		body, err = json.Marshal(all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// both is a filled value of an internal type, and what programs get of it.
func both[A, B any](convert func(A) B) [2]any {
	var a A
	fill(reflect.ValueOf(&a).Elem(), 0)
	return [2]any{a, convert(a)}
}

var moment = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fill gives every exported field a value that is not its zero.
func fill(v reflect.Value, depth int) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(moment))
		return
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{"a":1}`))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(7 + depth))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(9)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.Int {
			v.Set(reflect.ValueOf(map[string]int{"k": 7}))
			return
		}
		v.Set(reflect.ValueOf(map[string]string{"k": "v"}))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	}
}

// TestWordsAreThoseOfTheCore: every word of a closed set has a constant.
func TestWordsAreThoseOfTheCore(t *testing.T) {
	t.Parallel()
	for _, c := range belaytype.Classes() {
		if !steps.Class(c).Known() {
			t.Errorf("the core knows no class %q", c)
		}
	}
	kinds := each(steps.EscalationKinds(), func(k steps.EscalationKind) belaytype.Kind { return belaytype.Kind(k) })
	if !reflect.DeepEqual(kinds, belaytype.Kinds()) {
		t.Errorf("kinds %v, the core has %v", belaytype.Kinds(), kinds)
	}
	if got := each(schedules.Overlaps(), func(o schedules.Overlap) belaytype.Overlap { return belaytype.Overlap(o) }); !reflect.DeepEqual(got, belaytype.Overlaps()) {
		t.Errorf("overlaps %v", belaytype.Overlaps())
	}
	if got := each(schedules.CatchUps(), func(c schedules.CatchUp) belaytype.CatchUp { return belaytype.CatchUp(c) }); !reflect.DeepEqual(got, belaytype.CatchUps()) {
		t.Errorf("catch-ups %v", belaytype.CatchUps())
	}
	for _, s := range belaytype.RunStates() {
		if s.Ended() != steps.RunState(s).Ended() {
			t.Errorf("%s: another end than the core's", s)
		}
	}
}
