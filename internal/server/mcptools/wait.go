package mcptools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// waiting is who waits for which run.
type waiting struct {
	who     people.Actor
	run     string
	persons bool // also for what people must decide, and not only until it is known that they must
}

// outcome is where a run stands when an answer is due.
type outcome struct {
	state    *steps.State // nil where it cannot be read
	released bool         // it waits, and goes on without anybody
	why      view.Why     // of one that has not ended
	trouble  string       // why nothing happens; empty = something does
	repeated bool         // an equal call has started it before
	run      string
}

// stuckAfter is after how long it is looked at whether a run can go on at all: dispatchers know by then what no worker
// serves.
const stuckAfter = 5 * time.Second

// wait waits until a run has ended, a person must decide, or the time is up.
func (s *Server) wait(ctx context.Context, req *mcp.CallToolRequest, w waiting) (outcome, error) {
	leave, err := s.Waits.Enter(w.who)
	if err != nil {
		return outcome{}, fmt.Errorf("%w; the run goes on, call %s later", err, resultTool)
	}
	defer leave()
	tell, done := s.telling(ctx, req)
	defer done()
	until := time.Now().Add(s.Wait)
	for _, pause := range []time.Duration{min(stuckAfter, s.Wait/2), s.Wait} {
		out, err := s.look(ctx, w, min(pause, time.Until(until)), tell)
		if err != nil || out.trouble != "" || out.rests(w) {
			return out, err
		}
		if !time.Now().Before(until) {
			return out, nil
		}
	}
	return s.look(ctx, w, 0, tell)
}

// rests reports whether waiting for longer is of no use.
func (o outcome) rests(w waiting) bool {
	return o.state != nil && (o.state.Closed() || !w.persons && o.waits())
}

// waits reports whether a run goes on only once somebody has done something.
func (o outcome) waits() bool {
	return o.trouble != "" || o.state != nil && o.state.Status() == steps.RunWaiting && !o.released
}

// released reports whether a run that waits goes on without anybody.
func (s *Server) released(ctx context.Context, st *steps.State) bool {
	return s.Released != nil && s.Released(ctx, st)
}

// look follows a run for a while, and says where it stands then.
func (s *Server) look(ctx context.Context, w waiting, d time.Duration, tell func(*steps.State)) (outcome, error) {
	out := outcome{run: w.run}
	limited, cancel := context.WithTimeout(ctx, max(d, 0))
	err := s.Watch.Follow(limited, w.run, nil, func(st *steps.State) bool {
		out.state, out.released = st, s.released(ctx, st)
		tell(st)
		return !out.rests(w)
	})
	cancel()
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	if errors.Is(err, runlog.ErrNoRun) || errors.Is(err, runlog.ErrBadID) {
		return out, err
	}
	if out.state == nil && !errors.Is(err, runlog.ErrFrozen) {
		if out.state, err = s.Runs.Load(ctx, w.run); err != nil && !errors.Is(err, runlog.ErrFrozen) {
			return out, err
		}
		out.released = err == nil && s.released(ctx, out.state)
	}
	if errors.Is(err, runlog.ErrFrozen) {
		out.trouble = err.Error()
		return out, nil
	}
	if !out.state.Closed() {
		s.explain(ctx, w, &out)
	}
	return out, nil
}

// explain finds out what a run waits for.
func (s *Server) explain(ctx context.Context, w waiting, out *outcome) {
	a, err := s.ask(ctx, w.who, http.MethodGet, "/api/v1/runs/"+w.run+"/why", nil, "")
	if err == nil {
		err = json.Unmarshal(a.body.Bytes(), &out.why)
	}
	if err != nil {
		out.trouble = "something that cannot be found out: " + err.Error()
		return
	}
	out.trouble = cmp.Or(out.why.Note, unserved(out.why.Waits))
}

// unserved says which worker is missing, where nothing else can move a run on.
func unserved(all []view.Wait) (text string) {
	for _, x := range all {
		switch {
		case x.Unserved:
			text = x.Text
		case x.For != view.ForDependency: // that is one of the others
			return ""
		}
	}
	return text
}

const (
	// saidEvery is how often a client that has asked for progress hears that a run still goes on, also where nothing has
	// happened: so that it does not give up.
	saidEvery = 10 * time.Second
	// lookedEvery is how often it is looked what a run waits for whose log would not say that it has changed: a gate, or a limit.
	lookedEvery = 2 * time.Second
)

// telling returns what sends the progress of a run to a client that has asked for it. Call done when nothing more is to be
// sent.
func (s *Server) telling(ctx context.Context, req *mcp.CallToolRequest) (tell func(*steps.State), done func()) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return func(*steps.State) {}, func() {}
	}
	p := &progress{now: s.Now, send: func(n float64, text string) {
		_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: n, Message: text})
	}, why: func(st *steps.State, f view.Foresight) view.Why {
		if s.Why == nil {
			return view.WhyOf(st, f)
		}
		ctx, cancel := context.WithTimeout(ctx, lookedEvery)
		defer cancel()
		w, err := s.Why(ctx, st, f)
		if err != nil && ctx.Err() == nil {
			s.Logger.Debug("cannot find out which limits a run waits for, and at which place", "run_id", st.Run, "error", err)
		}
		return w
	}}
	p.mu.Lock()
	p.timer = time.AfterFunc(saidEvery, p.tick)
	p.mu.Unlock()
	return p.tell, p.stop
}

// progress sends each news once, and the last one anew from time to time.
type progress struct {
	send func(n float64, text string)
	why  func(st *steps.State, f view.Foresight) view.Why // what it waits for, also where the log does not say it
	now  func() time.Time

	mu    sync.Mutex
	n     float64
	state *steps.State
	last  string
	said  time.Time // when last was sent
	timer *time.Timer
	over  bool
}

func (p *progress) tell(st *steps.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = st.Clone() // it is looked at later too
	p.say()
}

func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say()
}

// say sends what there is to say, if that is news, or nothing was sent for a while. Hold the lock.
func (p *progress) say() {
	if p.over {
		return
	}
	text, next := p.text()
	if text != p.last || time.Since(p.said) >= saidEvery {
		p.last, p.said = text, time.Now()
		p.n++
		p.send(p.n, text)
	}
	p.timer.Reset(next)
}

// text is where the run stands, and after how long to look again.
func (p *progress) text() (text string, next time.Duration) {
	if p.state == nil {
		return p.last, saidEvery
	}
	w := p.why(p.state, view.Foresight{Now: p.now()})
	if len(w.Waits) == 0 {
		return string(p.state.Status()), saidEvery
	}
	first := &w.Waits[0]
	if first.For == view.ForGate || first.For == view.ForLimit {
		return "waits for " + first.Text, lookedEvery
	}
	return "waits for " + first.Text, saidEvery
}

func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.timer.Stop()
}
