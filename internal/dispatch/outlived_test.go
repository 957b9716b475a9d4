package dispatch

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// TestWhatADeadProcessHadClaimed: about a call that was claimed within a process that had the store before a person is asked at once,
// although no worker asks for anything; one that somebody outside has claimed, or this process, is theirs.
func TestWhatADeadProcessHadClaimed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := steps.Attempt{Step: "s0", Try: 1}
	gone := strings.Repeat("A", 26)
	claims := map[string]string{"gone": "w#00000001@embedded-" + gone, "here": "w#00000002@embedded-" + r.server.Opening(), "outside": "w#00000003"}
	for run, worker := range claims {
		r.submit(run, chain(1, tool(func(t *steps.Tool) { t.Effects = steps.EffectsUnsafe })))
		if _, err := r.log.Append(t.Context(), run, steps.Claimed{Attempt: a, Worker: worker}); err != nil {
			t.Fatal(err)
		}
	}
	r.submit("begun", chain(1, nil))
	if _, err := r.log.Append(t.Context(), "begun", steps.Started{Attempt: a, Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	var said logged
	d := r.dispatcher(func(o *Options) {
		b, err := bus.Connect(t.Context(), bus.Options{InProcess: r.server, Opening: r.server.Opening()})
		if err == nil {
			err = b.Open(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		o.Bus, o.Log, o.Crashed, o.Logger = b, runlog.New(b, plan.NewCache(16)), "4711", slog.New(slog.NewTextHandler(&said, nil))
	})
	s := r.until("gone", "asked about", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	if f := s.Escalations[0].Fault; f.Class != steps.Unknown || !f.MayHaveActed() || !strings.Contains(f.Message, "has ended") {
		t.Errorf("%+v", f)
	}
	r.eventually("all partitions are swept", func() bool { return strings.Contains(said.String(), "its runs go on here") })
	if text := said.String(); !strings.Contains(text, "process=4711 open_runs=4 calls_with_unknown_outcome=1") || strings.Count(text, "go on here") != 1 {
		t.Errorf("it says\n%s", text)
	}
	for _, run := range []string{"here", "outside", "begun"} {
		f, err := r.log.Read(t.Context(), run, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s := f.State; s.Units[0].State() != steps.StepRunning || len(s.Escalations) > 0 {
			t.Errorf("%s is %s", run, s.Units[0].State())
		}
	}
	d.stop()
}

// logged is what was logged.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}
