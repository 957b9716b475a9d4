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
	return o.state != nil && (o.state.Closed() || !w.persons && o.state.Status() == steps.RunWaiting)
}

// look follows a run for a while, and says where it stands then.
func (s *Server) look(ctx context.Context, w waiting, d time.Duration, tell func(*steps.State)) (outcome, error) {
	out := outcome{run: w.run}
	limited, cancel := context.WithTimeout(ctx, max(d, 0))
	err := s.Watch.Follow(limited, w.run, nil, func(st *steps.State) bool {
		out.state = st
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

// saidEvery is how often a client that has asked for progress hears that a run still goes on, also where nothing has
// happened: so that it does not give up.
const saidEvery = 10 * time.Second

// telling returns what sends the progress of a run to a client that has asked for it. Call done when nothing more is to be
// sent.
func (s *Server) telling(ctx context.Context, req *mcp.CallToolRequest) (tell func(*steps.State), done func()) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return func(*steps.State) {}, func() {}
	}
	p := &progress{send: func(n float64, text string) {
		_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: n, Message: text})
	}}
	p.mu.Lock()
	p.timer = time.AfterFunc(saidEvery, p.tick)
	p.mu.Unlock()
	return p.tell, p.stop
}

// progress sends each news once, and the last one anew from time to time.
type progress struct {
	mu    sync.Mutex
	send  func(n float64, text string)
	n     float64
	last  string
	timer *time.Timer
	over  bool
}

func (p *progress) tell(st *steps.State) {
	text := string(st.Status())
	for _, w := range view.WhyOf(st, view.Foresight{}).Waits {
		text = "waits for " + w.Text
		break
	}
	p.say(text, false)
}

func (p *progress) tick() { p.say("", true) }

func (p *progress) say(text string, anew bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || !anew && text == p.last {
		return
	}
	if !anew {
		p.last = text
	}
	p.n++
	p.send(p.n, p.last)
	p.timer.Reset(saidEvery)
}

func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.timer.Stop()
}
