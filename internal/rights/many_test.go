package rights_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"belay/internal/access/accesstest"
	"belay/internal/audit"
	"belay/internal/bus"
	"belay/internal/engine"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// orders are what people ask to be done to many runs, as the submitter's user of NATS.
type orders struct {
	*office
	list []handoff.RedriveResult
}

// begin starts runs as somebody, and says when they can be found.
func (o *orders) begin(l *runlog.Log, runs ...string) {
	o.t.Helper()
	look := officePlan(o.t, "look")
	var all []runlog.Submission
	for _, run := range runs {
		all = append(all, runlog.Submission{Run: run, Submitted: look})
		o.list = append(o.list, handoff.RedriveResult{ID: run, Result: handoff.ItemWaiting, Was: string(steps.RunRunning)})
	}
	for _, s := range l.SubmitMany(o.t.Context(), all) {
		if s.Err != nil {
			o.t.Fatal(s.Err)
		}
	}
	for _, run := range runs {
		o.awaits(run, steps.RunRunning)
	}
}

func (o *orders) awaits(run string, state steps.RunState) {
	o.t.Helper()
	accesstest.Eventually(o.t, run+" is "+string(state), func() bool {
		s, err := o.admin.Runs.Load(o.t.Context(), run)
		return err == nil && s.Status() == state
	})
}

// do does it, and gives what was told of each run.
func (o *orders) do(l *runlog.Log, verb people.Action, was steps.RunState) (map[string]string, error) {
	list := make([]handoff.RedriveResult, len(o.list))
	for i, it := range o.list {
		it.Was = string(was)
		list[i] = it
	}
	told := map[string]string{}
	m := &handoff.Alike{Runs: l, Now: o.admin.Bus.Now, Record: func(context.Context, handoff.Redrive) error {
		o.t.Error("a program that asks a dispatcher writes the audit trail")
		return nil
	}}
	err := m.Do(o.t.Context(), people.Trusted("somebody else", "cli"), handoff.RunOrder{Verb: verb, Where: "look", Reason: "twice", Rate: 1000}, list, func(r handoff.RedriveResult) {
		told[r.ID] = strings.TrimSpace(r.Result + " " + r.Code)
	})
	return told, err
}

// trail are the orders in the audit trail: who, what, and about how many.
func (o *orders) trail() (lines []string) {
	o.t.Helper()
	trail, err := audit.New(o.admin.Bus).Read(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, line := range trail.Records {
		var r audit.Record
		if err := json.Unmarshal(line, &r); err != nil {
			o.t.Fatal(err)
		}
		if strings.HasSuffix(r.Action, " runs") {
			lines = append(lines, fmt.Sprintf("%s %s: %s (%s)", r.Who, r.Action, r.Effect, r.Reason))
		}
	}
	return lines
}

// TestManyRunsOverNATS: whoever may do it to each run may have it done to many, with the audit trail written by the dispatcher; nobody
// else may, and no run is retried twice.
func TestManyRunsOverNATS(t *testing.T) {
	t.Parallel()
	o := &orders{office: open(t, nil)}
	whole := people.Limits{Tools: []string{"look"}, WholePlans: true}
	mia, ben := o.as(o.token("mia", people.Submitter, whole)), o.as(o.token("ben", people.Submitter, whole))
	operator, viewer, nobody := o.as(o.token("ola", people.Operator, people.Limits{})), o.as(o.token("vic", people.Viewer, people.Limits{})), o.as("")
	o.begin(mia, "mia-1", "mia-2", "mia-3")
	o.begin(ben, "ben-1")
	for what, l := range map[string]*runlog.Log{"a viewer": viewer, "nobody": nobody} {
		for _, verb := range []people.Action{people.Cancel, people.Retry} {
			told, err := o.do(l, verb, steps.RunRunning)
			if !errors.Is(err, people.ErrForbidden) || told["mia-1"] != handoff.ItemNotReached || told["ben-1"] != handoff.ItemNotReached {
				t.Errorf("%s, %s: %v, %v", what, verb, told, err)
			}
		}
	}
	if lines := o.trail(); len(lines) > 0 {
		t.Errorf("refused, and in the audit trail: %q", lines)
	}
	if _, err := o.admin.Runs.Cancel(t.Context(), "mia-3", steps.Cancelled{By: "bo"}); err != nil { // meanwhile
		t.Fatal(err)
	}
	o.awaits("mia-3", steps.RunCancelled)
	o.expect("a submitter", mia, people.Cancel, steps.RunRunning, handoff.ErrChanged, map[string]string{"mia-1": "done", "mia-2": "done", "mia-3": "refused again", "ben-1": "refused forbidden"})
	o.awaits("mia-1", steps.RunCancelled)
	o.awaits("mia-2", steps.RunCancelled)
	o.expect("a run that is open", operator, people.Retry, steps.RunCancelled, handoff.ErrChanged, map[string]string{"mia-1": "done", "mia-2": "done", "mia-3": "done", "ben-1": "refused changed"})
	o.expect("the same again", operator, people.Retry, steps.RunCancelled, handoff.ErrChanged, map[string]string{"mia-1": "refused again", "mia-2": "refused again", "mia-3": "refused again", "ben-1": "refused changed"})
	if there, err := o.admin.Runs.Submitted(t.Context(), "mia-1-r2"); there != nil || err != nil {
		t.Errorf("it was retried twice: %v", err)
	}
	there, err := o.admin.Runs.Submitted(t.Context(), "mia-1-r1")
	if err != nil || there == nil || there.RetryOf != "mia-1" || there.KeyRun != "mia-1" || there.By != "ola" || there.Proof == nil || there.Reason != "twice" {
		t.Errorf("it goes on as %+v, %v", there, err)
	}
	want := []string{"mia cancel runs: 4 runs, found by look (twice)", "ola retry runs: 4 runs, found by look (twice)", "ola retry runs: 4 runs, found by look (twice)"}
	if lines := o.trail(); fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("the audit trail has %q", lines)
	}
}

func (o *orders) expect(what string, l *runlog.Log, verb people.Action, was steps.RunState, is error, want map[string]string) {
	o.t.Helper()
	if told, err := o.do(l, verb, was); !errors.Is(err, is) || fmt.Sprint(told) != fmt.Sprint(want) {
		o.t.Errorf("%s: %v, %v", what, told, err)
	}
}

// TestARetryIsNeverAskedForAsANewRun: what was done before would be done again.
func TestARetryIsNeverAskedForAsANewRun(t *testing.T) {
	t.Parallel()
	o := &orders{office: open(t, nil)}
	mia := o.as(o.token("mia", people.Submitter, people.Limits{Tools: []string{"look"}, WholePlans: true}))
	o.begin(mia, "mia-1")
	if _, _, err := mia.RetryOnce(t.Context(), "mia-1", runlog.Retried{}); !errors.Is(err, runlog.ErrConflict) {
		t.Errorf("an open run: %v", err)
	}
	if _, err := mia.Cancel(t.Context(), "mia-1", steps.Cancelled{}); err != nil {
		t.Fatal(err)
	}
	o.awaits("mia-1", steps.RunCancelled)
	next := officePlan(t, "look")
	next.RetryOf, next.KeyRun = "mia-1", "mia-1"
	if _, err := mia.Submit(t.Context(), "mia-1-r1", next); err == nil || !strings.Contains(err.Error(), "retried") {
		t.Errorf("submitted: %v", err)
	}
	for _, first := range []bool{true, false} {
		if id, created, err := mia.RetryOnce(t.Context(), "mia-1", runlog.Retried{}); id != "mia-1-r1" || created != first || err != nil {
			t.Errorf("%s, %v, %v", id, created, err)
		}
	}
	if there, err := o.admin.Runs.Submitted(t.Context(), "mia-1-r1"); err != nil || there == nil || there.RetryOf != "mia-1" {
		t.Errorf("%+v, %v", there, err)
	}
}

// losing is a way to a dispatcher that is killed with the second part in its hands, which it has done, and of the first part it has
// answered for one run alone.
type losing struct {
	requests.Remote
	asked int
}

func (l *losing) Many(ctx context.Context, m runlog.Many) ([]runlog.ManyResult, error) {
	did, err := l.Remote.Many(ctx, m)
	if l.asked++; l.asked > 1 || err != nil {
		return nil, fmt.Errorf("%w: killed (%w)", bus.ErrUncertain, err)
	}
	return did[:1], nil
}

// TestManyRunsAndADispatcherThatIsKilled: what it has not answered is not said to be as it was, and the same once more retries
// nothing twice; without a dispatcher nothing is done.
func TestManyRunsAndADispatcherThatIsKilled(t *testing.T) {
	t.Parallel()
	o := &orders{office: open(t, nil)}
	token := o.token("mia", people.Submitter, people.Limits{Tools: []string{"look"}, WholePlans: true})
	mia := o.start("submitter", token, engine.Options{})
	remote := requests.Remote{Bus: mia.Bus, Token: token, Patience: time.Nanosecond}
	o.begin(mia.Runs, "mia-1", "mia-2")
	o.expect("all are cancelled", mia.Runs, people.Cancel, steps.RunRunning, nil, map[string]string{"mia-1": "done", "mia-2": "done"})
	o.awaits("mia-1", steps.RunCancelled)
	o.awaits("mia-2", steps.RunCancelled)
	mia.Runs.Elsewhere = &losing{Remote: remote}
	o.expect("the second part is lost", mia.Runs, people.Retry, steps.RunCancelled, bus.ErrUncertain, map[string]string{"mia-1": "done", "mia-2": "uncertain uncertain"})
	mia.Runs.Elsewhere = remote
	o.expect("once more", mia.Runs, people.Retry, steps.RunCancelled, nil, map[string]string{"mia-1": "refused again", "mia-2": "refused again"})
	for run, want := range map[string]bool{"mia-1-r1": true, "mia-2-r1": true, "mia-1-r2": false, "mia-2-r2": false} {
		if there, err := o.admin.Runs.Submitted(t.Context(), run); err != nil || (there != nil) != want {
			t.Errorf("%s: %+v, %v", run, there, err)
		}
	}
	o.admin.Stop()
	o.expect("nobody is there", mia.Runs, people.Cancel, steps.RunRunning, requests.ErrNobody, map[string]string{"mia-1": handoff.ItemNotReached, "mia-2": handoff.ItemNotReached})
}
