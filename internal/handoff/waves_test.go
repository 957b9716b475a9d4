package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"belay/internal/people"
	"belay/internal/steps"
)

// fetching submits n runs that fetch a parcel and mail it, and whose fetch has failed. All fail alike.
func fetching(t *testing.T, l *office, n int, onFailure steps.OnFailure) []Chosen {
	t.Helper()
	rung := steps.Rung{Name: "primary", Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1}}
	doc, err := json.Marshal(steps.Definition{
		Plan: steps.Plan{Name: "post", Steps: []steps.Step{
			{ID: "fetch", Tool: "t", OnFailure: steps.OnFailureEscalate}, {ID: "mail", Tool: "t", Needs: []string{"fetch"}, OnFailure: onFailure},
		}},
		Tools: map[string]steps.Tool{"t": {Name: "t", Effects: steps.EffectsIdempotent, Rungs: []steps.Rung{rung}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list := make([]Chosen, n)
	for i := range list {
		run := fmt.Sprintf("run%d", i)
		if _, err := l.Submit(t.Context(), run, steps.Submitted{Epoch: steps.Epoch, Document: doc, Input: json.RawMessage(`{}`)}); err != nil {
			t.Fatal(err)
		}
		l.reports(t, run, steps.Failed{Attempt: steps.Attempt{Step: "fetch", Try: 1}, Worker: "w", Fault: notFound("no such parcel")})
		list[i].ID = run + "-1"
	}
	return list
}

func notFound(message string) steps.Fault {
	return steps.Fault{Class: steps.NotFound, Acted: steps.ActedNo, Message: message}
}

// reports stores an event, as a worker does.
func (l *office) reports(t *testing.T, run string, e steps.Event) {
	t.Helper()
	if _, err := l.Append(t.Context(), run, e); err != nil {
		t.Fatal(err)
	}
}

// worked lets a worker report what becomes of every run as soon as it is decided on; nil reports nothing.
func (l *office) worked(t *testing.T, outcome func(run string) steps.Event) {
	l.desk.Acted = func(_ context.Context, _ people.Actor, _ people.Act, d Done) {
		run, _ := steps.RunOfEscalation(d.ID)
		if e := outcome(run); e != nil {
			l.reports(t, run, e)
		}
	}
}

func mailed(string) steps.Event {
	return steps.Succeeded{Attempt: steps.Attempt{Step: "mail", Try: 1}, Worker: "w", Output: json.RawMessage(`{}`)}
}

func unmailed(string) steps.Event {
	return steps.Failed{Attempt: steps.Attempt{Step: "mail", Try: 1}, Worker: "w", Fault: notFound("cannot fetch parcel from null")}
}

// redriven runs a redrive, and gives what is known last of each item, in the order of the list.
func redriven(t *testing.T, l *office, list []Chosen, verb people.Action, patience time.Duration) ([]RedriveResult, error) {
	t.Helper()
	r := Waves{Desk: l.desk, Runs: l.Log, Patience: patience}
	last := map[string]RedriveResult{}
	err := r.Run(t.Context(), people.Trusted("mia", "cli"), list, people.Act{Verb: verb}, func(res RedriveResult) { last[res.ID] = res })
	results := make([]RedriveResult, len(list))
	for i, c := range list {
		results[i] = last[c.ID]
	}
	return results, err
}

const long = 30 * time.Second

// TestWavesStopAtWhateverADecisionLedTo: another step, another kind of question; a wave is good when its runs rest well.
func TestWavesStopAtWhateverADecisionLedTo(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := fetching(t, l, 9, steps.OnFailureEscalate)
	l.worked(t, func(run string) steps.Event {
		if run < "run3" {
			return mailed(run)
		}
		return unmailed(run)
	})
	got, err := redriven(t, l, list, "skip", long)
	if !errors.Is(err, ErrCameBack) {
		t.Errorf("%v, want that it did not help", err)
	}
	want := "7 skipped, 4 of them stopped again at mail: cannot fetch parcel from null; 2 not touched"
	if s := Summary("skip", got); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	bad := RedriveResult{ID: "run3-1", Wave: 3, Result: "other", Step: "mail", Next: "run3-2", Detail: "cannot fetch parcel from null"}
	if got[3] != bad || got[0].Result != "done" || got[0].Detail != "fetch was skipped; the run succeeded" {
		t.Errorf("%+v\n%+v", got[3], got[0])
	}
	if n := open(t, l.Log, list); n != 2 {
		t.Errorf("%d are open, want the 2 that were not touched", n)
	}
}

// TestARunThatFailsOfItIsNoGoodEnd: by the plan's own word, without anybody being asked.
func TestARunThatFailsOfItIsNoGoodEnd(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := fetching(t, l, 2, steps.OnFailureFail)
	l.worked(t, unmailed)
	got, err := redriven(t, l, list, "skip", long)
	if want := "1 skipped, 1 of them ended otherwise: fetch was skipped; the run failed: mail: not_found: cannot fetch parcel from null; 1 not touched"; Summary("skip", got) != want || !errors.Is(err, ErrCameBack) {
		t.Errorf("%s, %v", Summary("skip", got), err)
	}
}

// TestARefusalOfRightsStopsTheWaves: it would be refused a thousand times.
func TestARefusalOfRightsStopsTheWaves(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := fetching(t, l, 12, steps.OnFailureEscalate)
	l.worked(t, mailed)
	asked := 0
	valid := func() error {
		if asked++; asked > 2 {
			return errors.New("the token has been revoked")
		}
		return nil
	}
	last := map[string]RedriveResult{}
	err := (&Waves{Desk: l.desk, Runs: l.Log, Patience: long}).Run(t.Context(), people.Actor{Name: "mia", Role: people.Operator, Valid: valid}, list, people.Act{Verb: "skip"}, func(res RedriveResult) { last[res.ID] = res })
	if !errors.Is(err, people.ErrForbidden) || asked != 3 {
		t.Errorf("%v after %d decisions", err, asked)
	}
	if r := last["run2-1"]; r.Result != ItemRefused || r.Code != "forbidden" || r.Detail != "you may not do this: the token has been revoked" || last["run3-1"].Result != ItemNotReached {
		t.Errorf("%+v, %+v", r, last["run3-1"])
	}
	if last["run0-1"].Result != "done" || last["run1-1"].Result != "done" {
		t.Errorf("what was decided before: %+v, %+v", last["run0-1"], last["run1-1"])
	}
}

// TestWhatSomebodyElseDecidedMeanwhile is said of each, and does not hold the others.
func TestWhatSomebodyElseDecidedMeanwhile(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := fetching(t, l, 4, steps.OnFailureEscalate)
	l.worked(t, mailed)
	if _, err := l.act(t, "bo", "run1-1", people.Act{Verb: "skip"}); err != nil {
		t.Fatal(err)
	}
	got, err := redriven(t, l, list, "skip", long)
	if !errors.Is(err, ErrDecidedBefore) || got[1].Code != "decided" || !strings.HasPrefix(got[1].Detail, "already decided: bo chose skip at ") || got[3].Result != "done" {
		t.Errorf("%v, %+v", err, got)
	}
	if s := Summary("skip", got); !strings.HasPrefix(s, "3 skipped; 1 decided before: already decided: bo chose skip") {
		t.Error(s)
	}
	again, err := redriven(t, l, list[:1], "skip", long)
	if err != nil || again[0].Detail != "you had decided so before" {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// TestWhatIsUnderWayIsSaid: a run that is at work for long is waited for so long and no longer, the waves do not grow on
// what nobody knows, and what it comes to later still stops them.
func TestWhatIsUnderWayIsSaid(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := fetching(t, l, 5, steps.OnFailureEscalate)
	l.worked(t, func(run string) steps.Event {
		if run == "run2" { // and only now the first one fails
			l.reports(t, "run0", unmailed(""))
		}
		return nil
	})
	var told []string
	r := Waves{Desk: l.desk, Runs: l.Log, Patience: 500 * time.Millisecond}
	last := map[string]RedriveResult{}
	err := r.Run(t.Context(), people.Trusted("mia", ""), list, people.Act{Verb: "skip"}, func(res RedriveResult) {
		told = append(told, fmt.Sprint(res.ID, " ", res.Wave, " ", res.Result))
		last[res.ID] = res
	})
	if !errors.Is(err, ErrCameBack) || last["run3-1"].Result != ItemNotReached || last["run2-1"].Result != "under_way" || last["run0-1"].Result != "other" {
		t.Errorf("%v, %v", err, told)
	}
	if first := strings.Join(told[:4], ", "); first != "run0-1 1 decided, run0-1 1 under_way, run1-1 2 decided, run1-1 2 under_way" {
		t.Error(first)
	}
	l.desk.Acted = nil
	got, err := redriven(t, l, list[3:], "skip", 50*time.Millisecond)
	if !errors.Is(err, ErrUnderWay) || Summary("skip", got) != "2 skipped, 2 of them still under way" {
		t.Errorf("%v, %s", err, Summary("skip", got))
	}
}

// TestTheWorstIsSaid: the error of a redrive is the worst that happened.
func TestTheWorstIsSaid(t *testing.T) {
	t.Parallel()
	order := []error{nil, ErrInvalid, ErrUnderWay, &DecidedBefore{}, ErrCameBack, errors.New("the disk is full"), fmt.Errorf("%w: %w", context.Canceled, errStopped), ErrNoDesk, people.ErrForbidden}
	for i, err := range order {
		if severity(err) != i {
			t.Errorf("%v is %d, want %d", err, severity(err), i)
		}
	}
	w := &waves{}
	for _, err := range []error{ErrUnderWay, people.ErrForbidden, ErrCameBack, nil} {
		w.note(err)
	}
	if !errors.Is(w.worst, people.ErrForbidden) {
		t.Error(w.worst)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	var items []RedriveResult
	for n := range 9 {
		items = append(items, RedriveResult{ID: fmt.Sprint(n), Wave: 1, Result: "other", Step: "mail", Detail: "cannot fetch parcel from null"})
	}
	if got := Summary("skip", items); got != "9 skipped, 9 of them stopped again at mail: cannot fetch parcel from null" {
		t.Error(got)
	}
	mixed := []RedriveResult{
		{Result: "done"}, {Result: ItemDecided}, {Result: "back", Step: "each[1]", Detail: "a"}, {Result: "back", Step: "each[2]", Detail: "b"},
		{Result: "under_way"}, {Result: "failed", Detail: "the run failed: c"}, {Result: ItemRefused, Code: "forbidden", Detail: "you may not do this"},
		{Result: ItemNotReached}, {Result: ItemNotReached}, {Result: ItemWaiting},
	}
	want := "6 retried, 2 of them stopped again at each: a, and others, 1 of them still under way, 1 of them ended otherwise: the run failed: c; 1 refused: you may not do this; 2 not touched"
	if got := Summary("retry", mixed); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
