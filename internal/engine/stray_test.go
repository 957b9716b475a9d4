package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// junk is something that a stream takes and no run wants; it is found again by the run or by the word.
type junk struct {
	stream, subject, body string
	run, word             string
}

const strayPartitions = 4

// ofPartition is a run's id that belongs to a partition.
func ofPartition(p int, name string) string {
	for n := 0; ; n++ {
		if id := fmt.Sprintf("%s%d", name, n); wire.Partition(id, strayPartitions) == p {
			return id
		}
	}
}

const (
	outcomeBody  = `{"v":1,"type":"succeeded","step":"s","round":0,"rung":0,"try":1,"worker":"w","output":{}}`
	claimBody    = `{"v":1,"type":"claimed","step":"s","round":0,"rung":0,"try":1,"worker":"w"}`
	decisionBody = `{"v":1,"type":"decided","escalation":"x-1","verb":"retry","by":"mia"}`
	stepBody     = `{"v":1,"run":"%s","step":"s","round":0,"rung":0,"try":1,"workflow":"w","tool":"t","rung_name":"primary","effects":"none","key":"k","timeout":1,"params":{}}`
)

// allJunk is junk on every kind of subject that the streams take.
func allJunk(n wire.Names) []junk {
	var all []junk
	add := func(stream, subject, body, run, word string) {
		all = append(all, junk{stream, subject, body, run, word})
	}
	bodies := map[string]string{
		"plan": `{"v":1,"type":"cancelled","by":"mia"}`, "outcome": outcomeBody, "claim.s.0-0-1": claimBody, "decision": decisionBody,
		"clock": `{"v":1,"type":"fired"}`, "result": `{"v":1,"type":"closed","state":"succeeded"}`, "gossip": `{}`,
	}
	for kind, body := range bodies {
		name := strings.ReplaceAll(strings.ReplaceAll(kind, ".", "_"), "-", "_")
		never, empty := ofPartition(1, "never_"+name), ofPartition(2, "empty_"+name)
		add(n.RunsStream(1), n.Log(1, never, kind), body, never, "")
		add(n.RunsStream(2), n.Log(2, empty, kind), "", empty, "")
		lost := ofPartition(3, "lost_"+name)
		add(n.RunsStream(0), n.Log(0, lost, kind), body, lost, "")
		add(n.RunsStream(1), n.Log(1, "ödd_"+name, kind), body, "", "ödd_"+name)
	}
	long := strings.Repeat("x", 70)
	add(n.RunsStream(0), n.Log(0, long, "outcome"), outcomeBody, "", long)
	add(n.RunsStream(0), n.Prefix+".runs.0.alone", "", "", ".runs.0.alone")
	add(n.StepsStream(), n.Prefix+".steps.nothing", "", "", ".steps.nothing")
	add(n.StepsStream(), n.Prefix+".steps.t.primary.r.s.x-y-z", "{}", "", ".steps.t.primary.r.s.x-y-z")
	queued := ofPartition(0, "queued")
	add(n.StepsStream(), n.Step("t", "primary", queued, steps.Attempt{Step: "s", Try: 1}), fmt.Sprintf(stepBody, queued), queued, "")
	add(n.TimersStream(), n.Prefix+".timers.nothing", "", "", ".timers.nothing")
	add(n.TimersStream(), n.Prefix+".timers.due.99.r", "", "", ".timers.due.99.r")
	due, set := ofPartition(2, "due"), ofPartition(2, "set")
	add(n.TimersStream(), n.TimerDue(2, due), "", due, "")
	add(n.TimersStream(), n.TimerSet(2, set), "{}", set, "")
	add(n.EscalationsStream(), n.Prefix+".escalations.nothing", "{}", "", ".escalations.nothing")
	add(n.EscalationsStream(), n.Escalation("failure", "t", "nobody-1"), "", "", "this escalation cannot be read")
	add(n.EscalationsStream(), n.Escalation("failure", "t", "nowhere"), "junk", "", "this escalation cannot be read")
	add(n.AuditStream(), n.Prefix+".audit.gossip", "{}", "", ".audit.gossip")
	return all
}

func startStray(t *testing.T) *Engine {
	t.Helper()
	e, err := Start(t.Context(), Options{
		Embedded:   &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval},
		Partitions: strayPartitions,
		Dispatch:   &dispatch.Options{Name: "d1", QueueEvery: 200 * time.Millisecond},
		People:     &PeopleOptions{Keys: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

func (j *junk) foundIn(items []handoff.Item) bool {
	return slices.ContainsFunc(items, func(i handoff.Item) bool {
		return j.run != "" && i.Run == j.run || j.word != "" && strings.Contains(i.Message, j.word)
	})
}

// TestNothingThatWasTakenIsInvisible: whatever a stream has confirmed is found again where people look, each kind of it by
// one letter however often it comes, and one decision removes it for good.
func TestNothingThatWasTakenIsInvisible(t *testing.T) {
	t.Parallel()
	e := startStray(t)
	all := allJunk(e.Bus.Names())
	for _, j := range all {
		for range 5 {
			_, err := e.Bus.PublishWait(t.Context(), j.stream, bus.Message{Subject: j.subject, Data: []byte(j.body)})
			if err != nil && !strings.Contains(err.Error(), bus.ErrQueued.Error()) {
				t.Fatalf("%s: %v", j.subject, err)
			}
		}
	}
	var items []handoff.Item
	var missing []string
	within(t, time.Minute, func() bool {
		items, missing = look(t, e), nil
		for _, j := range all {
			if !j.foundIn(items) {
				missing = append(missing, j.subject)
			}
		}
		return len(missing) == 0
	}, func() string { return fmt.Sprint("not found: ", missing) })
	if len(items) != len(all) {
		t.Errorf("%d letters about %d kinds of junk: %s", len(items), len(all), ids(items))
	}
	for _, j := range all {
		if j.run == "" || !strings.Contains(j.subject, ".runs.") {
			continue
		}
		id, err := e.Runs.Find(t.Context(), j.run)
		if _, loadErr := e.Runs.Load(t.Context(), j.run); err != nil || id != j.run || !errors.Is(loadErr, runlog.ErrFrozen) {
			t.Errorf("runs show %s: found %q, %v; it says %v", j.run, id, err, loadErr)
		}
	}
	// A submission that cannot be read may be of a newer program: each of them is asked about, one after the other.
	within(t, time.Minute, func() bool {
		removeAll(t, e, items)
		items = look(t, e)
		return len(items) == 0
	}, func() string { return "left: " + ids(items) })
	// The next looks find nothing again.
	d := dispatch.New(dispatch.Options{Bus: e.Bus, Log: e.Runs, QueueEvery: 50 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := d.Run(ctx); err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	if again := look(t, e); len(again) > 0 {
		t.Errorf("people are asked again: %+v", again)
	}
}

func look(t *testing.T, e *Engine) []handoff.Item {
	t.Helper()
	items, err := e.Desk.Items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func ids(items []handoff.Item) string {
	var all []string
	for _, i := range items {
		all = append(all, i.ID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// removeAll decides each letter the way that is offered, after it was shown.
func removeAll(t *testing.T, e *Engine, items []handoff.Item) {
	t.Helper()
	mia := people.Trusted("mia", "cli")
	for _, i := range items {
		id, err := handoff.Find(t.Context(), e.Runs, dlq.New(e.Bus), i.ID)
		if err != nil || id != i.ID {
			t.Errorf("find %s: %s, %v", i.ID, id, err)
		}
		c, err := e.Desk.Card(t.Context(), i.ID)
		if errors.Is(err, handoff.ErrNoEscalation) {
			continue // it was removed since the list was made
		}
		if err != nil || c.Dossier.LastError == nil && i.Kind == steps.KindDeadLetter {
			t.Errorf("card of %s: %+v, %v", i.ID, c.Dossier, err)
		}
		if _, err := e.Desk.Act(t.Context(), mia, i.ID, people.Act{Verb: people.Skip}); err != nil && !errors.Is(err, handoff.ErrDecidedBefore) && !errors.Is(err, handoff.ErrNoEscalation) {
			t.Errorf("skip %s (%s): %v", i.ID, i.Message, err)
		}
	}
}

func within(t *testing.T, d time.Duration, ok func() bool, what func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(what())
		}
	}
}

// TestARunOnTheWrongPartition: its submission is confirmed by the server and read by nobody; whoever asks for the run is
// told so, and where it belongs.
func TestARunOnTheWrongPartition(t *testing.T) {
	t.Parallel()
	e := startStray(t)
	n := e.Bus.Names()
	run := ofPartition(3, "payroll")
	body := `{"v":1,"type":"submitted","epoch":2,"input":{},"document":{}}`
	if _, err := e.Bus.PublishWait(t.Context(), n.RunsStream(1), bus.Message{Subject: n.Log(1, run, wire.KindPlan), Data: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	id, err := e.Runs.Find(t.Context(), run)
	if err != nil || id != run {
		t.Fatalf("find: %q, %v", id, err)
	}
	_, err = e.Runs.Load(t.Context(), run)
	letter := steps.DeadLetterID(n.RunsStream(1), 1)
	for _, part := range []string{letter, "partition 1", "of partition 3"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("show says %v, without %q", err, part)
		}
	}
	within(t, time.Minute, func() bool {
		l, err := dlq.New(e.Bus).Get(t.Context(), letter)
		return err == nil && l.Run == run && string(l.Origin.Raw) == body
	}, func() string { return "no letter " + letter })
	page, err := e.Runs.List(t.Context(), runlog.Filter{})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != run || page.Items[0].State != steps.RunWaiting {
		t.Errorf("listed: %+v, %v", page, err)
	}
}
