package requests

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// TestAnAnswerThatWasLost: a request is made once more where no answer came, and a run that the second one finds is not said to be
// created: it may have been there for long.
func TestAnAnswerThatWasLost(t *testing.T) {
	t.Parallel()
	asked := 0
	r := remote(t, func(m *nats.Msg) {
		if asked++; asked > 1 {
			_ = m.Respond([]byte(`{"v":1,"submitted":[{}]}`))
		}
	})
	came := r.Submit(t.Context(), []runlog.Submission{{Run: "r", Submitted: steps.Submitted{}}})
	if len(came) != 1 || came[0].Err != nil || came[0].Created {
		t.Errorf("%+v", came)
	}
}

// remote asks a dispatcher that is played; nil = there is none.
func remote(t *testing.T, play func(*nats.Msg)) Remote {
	t.Helper()
	server, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Durability: embedded.Interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	b, err := bus.Connect(t.Context(), bus.Options{InProcess: server, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Setup(t.Context(), bus.SetupOptions{Partitions: wire.DefaultPartitions, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	if play == nil {
		return Remote{Bus: b, Patience: time.Nanosecond}
	}
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe(b.Names().Requests(), play); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return Remote{Bus: b}
}

// TestManyRunsGoByPartition: those of a partition in order, in requests that a message can carry; each has what became of it, and an
// answer that makes no sense, or is lost, is about its own request alone.
func TestManyRunsGoByPartition(t *testing.T) {
	t.Parallel()
	const runs, partitions = 5000, wire.DefaultPartitions
	heard := map[int][]string{} // what was asked, once for each run
	known, lost, smaller := map[string]bool{}, false, false
	r := remote(t, func(m *nats.Msg) {
		var q Request
		if err := json.Unmarshal(m.Data, &q); err != nil || len(q.Submit) == 0 || len(q.Submit) > mostRuns || len(q.Submit[0].Document) == 0 {
			t.Errorf("%d runs, %v", len(q.Submit), err)
			return
		}
		first, p := q.Submit[0].Run, wire.Partition(q.Submit[0].Run, partitions)
		there := map[string]bool{}
		for _, s := range q.Submit {
			there[s.Run] = known[s.Run]
			if wire.Partition(s.Run, partitions) != p {
				t.Errorf("%s and %s are of two partitions", first, s.Run)
			}
			if !known[s.Run] {
				heard[p] = append(heard[p], s.Run)
			}
			known[s.Run] = true
		}
		if p == 1 && !lost {
			lost = true
			return
		}
		if there[first] && !smaller {
			smaller = true
			if len(q.Submit) > fewRuns {
				t.Errorf("%d runs are asked for again at once", len(q.Submit))
			}
		}
		_ = m.Respond(playedAnswer(q, there, p == 2))
	})
	all, want := make([]runlog.Submission, runs), map[int][]string{}
	for i := range all {
		all[i] = runlog.Submission{Run: fmt.Sprintf("r-%d", i), Submitted: steps.Submitted{Document: []byte(`{}`), Input: []byte(`{}`)}}
		p := wire.Partition(all[i].Run, partitions)
		want[p] = append(want[p], all[i].Run)
	}
	came := r.Submit(t.Context(), all)
	if !reflect.DeepEqual(heard, want) {
		t.Errorf("asked in another order: %v", heard)
	}
	created := 0
	for i, s := range came {
		p, run := wire.Partition(all[i].Run, partitions), all[i].Run
		switch {
		case p == 2:
			if s.Err == nil || !strings.Contains(s.Err.Error(), "submit run "+run+": ") {
				t.Errorf("%s: %+v", run, s)
			}
		case strings.HasSuffix(run, "7"):
			if !errors.Is(s.Err, people.ErrForbidden) || !strings.Contains(s.Err.Error(), "not "+run+"!") {
				t.Errorf("%s: %+v", run, s)
			}
		case s.Err != nil || p != 1 && !s.Created:
			t.Errorf("%s: %+v", run, s)
		case p == 1 && !s.Created:
			created++
		}
	}
	if created == 0 || created > mostRuns {
		t.Errorf("%d runs are not said to be created after an answer that was lost", created)
	}
}

// playedAnswer refuses every tenth run; senseless says that it is an answer to something else.
func playedAnswer(q Request, there map[string]bool, senseless bool) []byte {
	if senseless {
		return []byte(`{"v":1,"submitted":[{}]}`)
	}
	a := answer{V: wire.Version}
	for _, s := range q.Submit {
		one := became{Created: !there[s.Run]}
		if strings.HasSuffix(s.Run, "7") {
			one = became{Failure: failureOf(fmt.Errorf("%w: not %s!", people.ErrForbidden, s.Run))}
		}
		a.Submitted = append(a.Submitted, one)
	}
	out, _ := json.Marshal(a)
	return out
}

// TestManyRunsAndNoDispatcher: each is told so, and not one request after the other waits for one.
func TestManyRunsAndNoDispatcher(t *testing.T) {
	t.Parallel()
	all := make([]runlog.Submission, 2000)
	for i := range all {
		all[i].Run = fmt.Sprintf("r-%d", i)
	}
	for i, s := range remote(t, nil).Submit(t.Context(), all) {
		if !errors.Is(s.Err, ErrNobody) || !strings.Contains(s.Err.Error(), all[i].Run+":") {
			t.Fatalf("%d: %v", i, s.Err)
		}
	}
}

// TestManyRunsAndADispatcherThatIsKilled: those of a request that was not answered may be stored, and those behind it are not.
func TestManyRunsAndADispatcherThatIsKilled(t *testing.T) {
	t.Parallel()
	r := remote(t, func(m *nats.Msg) {
		if err := m.Sub.Unsubscribe(); err != nil {
			t.Error(err)
		}
	})
	r.Patience = time.Nanosecond
	var all []runlog.Submission
	for i := 0; len(all) < mostRuns+10; i++ {
		if run := fmt.Sprintf("r-%d", i); wire.Partition(run, wire.DefaultPartitions) == 0 {
			all = append(all, runlog.Submission{Run: run})
		}
	}
	for i, s := range r.Submit(t.Context(), all) {
		if !errors.Is(s.Err, ErrNobody) || errors.Is(s.Err, bus.ErrUncertain) != (i < mostRuns) {
			t.Fatalf("%d: %v", i, s.Err)
		}
	}
}

// TestADispatcherThatIsGoneMayHaveDoneIt: where no answer came and then nobody is there, nobody is told that nothing was done.
func TestADispatcherThatIsGoneMayHaveDoneIt(t *testing.T) {
	t.Parallel()
	r := remote(t, func(m *nats.Msg) {
		if err := m.Sub.Unsubscribe(); err != nil { // it was killed
			t.Error(err)
		}
	})
	r.Patience = time.Nanosecond
	did, err := r.Many(t.Context(), runlog.Many{Verb: "retry", Runs: []string{"r"}})
	if !errors.Is(err, bus.ErrUncertain) || !errors.Is(err, ErrNobody) || did != nil {
		t.Errorf("%+v, %v", did, err)
	}
}

// TestADispatcherThatKnowsNothingOfMany is of an older version, whatever it says.
func TestADispatcherThatKnowsNothingOfMany(t *testing.T) {
	t.Parallel()
	says := make(chan string, 1)
	r := remote(t, func(m *nats.Msg) { _ = m.Respond([]byte(<-says)) })
	for _, said := range []string{
		`{"v":1,"failure":{"code":"bad_id","error":"not an id"}}`,
		`{"v":1,"many":[{"run":"r","result":"done"},{"run":"s","result":"done"}]}`,
	} {
		says <- said
		if did, err := r.Many(t.Context(), runlog.Many{Verb: "retry", Runs: []string{"r"}}); !errors.Is(err, errOther) || did != nil {
			t.Errorf("%s: %+v, %v", said, did, err)
		}
	}
}
