package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"belay/internal/breaker"
	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/people"
)

// Gates are what people hold calls back with. The errors are [gates.ErrNone], [gates.ErrOpen], [gates.ErrClosed], [gates.ErrDenied]
// and [gates.ErrWrong]; after any other one it may or may not be done.
type Gates interface {
	// ListBreakers lists the breakers that are not closed.
	ListBreakers(ctx context.Context) ([]breaker.Record, error)
	// ListLimits lists the limits that calls count for at present.
	ListLimits(ctx context.Context) ([]limits.Limit, error)
	// ListGates lists the gates that are closed, and those that were opened lately.
	ListGates(ctx context.Context) ([]gates.Progress, error)
	CloseGate(ctx context.Context, who people.Actor, g gates.Gate) (gates.Gate, error)
	OpenGate(ctx context.Context, who people.Actor, id, reason string) (gates.Gate, error)
	// ClosedGates are those that are closed, as they are known here; every page asks.
	ClosedGates() []gates.Gate
}

// gatesView is the page of gates, with the form that closes one where the reader may.
type gatesView struct {
	Closed, Opened []gateView
	Breakers       []breakerView
	Limits         []limitView
	May            bool
	Form           gateForm
	Errors         []string
}

// breakerView is a breaker that is not closed.
type breakerView struct {
	Name, State, Fault string
	Since, Until       moment
	Calls, Failed      int
	Probes             string
}

// limitView is a limit that calls count for at present.
type limitView struct {
	Covers, State string
	Waits         []waitView // who goes next, of those that wait for a slot
	More          int        // that wait behind them
}

type waitView struct {
	Run, Name string
	Since     moment
}

type gateView struct {
	ID, Covers, By, Reason string
	Since                  moment
	Until                  *moment // nil = somebody opens it
	State                  string  // what it holds back, and what still runs
	Which                  []string
	OpenedBy, Why          string // of one that is open
	OpenedAt               moment
}

// gateForm is what somebody has typed.
type gateForm struct {
	All                                     bool
	Tool, Plan, Run, Target, Labels, Reason string
	For                                     string
	Spans                                   []gateSpan
}

// gateSpan is a time after which a gate opens by itself.
type gateSpan struct {
	Value, Label string
	span         time.Duration
}

var gateSpans = []gateSpan{
	{"", "Until somebody opens it", 0}, {"30m", "30 minutes", 30 * time.Minute}, {"2h", "2 hours", 2 * time.Hour}, {"24h", "a day", 24 * time.Hour},
}

// mostOpened is how many gates that are open again a page has room for.
const mostOpened = 20

func (c *Console) gates(w http.ResponseWriter, r *http.Request) {
	c.showGates(w, r, http.StatusOK, gateForm{}, nil)
}

func (c *Console) showGates(w http.ResponseWriter, r *http.Request, status int, form gateForm, wrong []string) {
	all, err := c.o.Gates.ListGates(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	form.Spans = gateSpans
	v := gatesView{May: c.o.Who(r).May(people.CloseGate) == nil, Form: form, Errors: wrong}
	for i := range all {
		g := shownGate(&all[i], c.o.Now())
		if all[i].Closed() {
			v.Closed = append(v.Closed, g)
		} else if len(v.Opened) < mostOpened {
			v.Opened = append(v.Opened, g)
		}
	}
	broken, err := c.o.Gates.ListBreakers(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for i := range broken {
		v.Breakers = append(v.Breakers, shownBreaker(&broken[i], c.o.Now()))
	}
	counted, err := c.o.Gates.ListLimits(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for i := range counted {
		v.Limits = append(v.Limits, shownLimit(&counted[i], c.o.Now()))
	}
	c.show(w, r, status, "gates", page{Title: "Gates", Nav: "gates", Body: v})
}

// shownWaiting is how many of those that wait for a limit a page names.
const shownWaiting = 5

func shownLimit(l *limits.Limit, now time.Time) limitView {
	v := limitView{Covers: l.Covers, State: spoken(l.Words())}
	for n := range l.Waits[:min(shownWaiting, len(l.Waits))] {
		w := &l.Waits[n]
		v.Waits = append(v.Waits, waitView{limits.RunOf(w.Attempt), w.Attempt, at(w.Since, now)})
	}
	if len(v.Waits) > 0 {
		v.More = l.Waiting - len(v.Waits)
	}
	return v
}

func shownBreaker(r *breaker.Record, now time.Time) breakerView {
	v := breakerView{Name: r.String(), Fault: r.Fault, Since: at(r.Since, now), Until: at(r.Until, now), Calls: r.Calls, Failed: r.Failed, Probes: count(r.Probes, "probe", "probes")}
	switch r.State {
	case breaker.Open:
		v.State = "No call goes; the next probe does after"
	case breaker.HalfOpen:
		v.State = "One call goes, to see whether it is back; its outcome is awaited until"
	case breaker.Ramp:
		v.State = "It is back: more calls go every second, and all of them after"
	}
	return v
}

func shownGate(p *gates.Progress, now time.Time) gateView {
	v := gateView{ID: p.ID, Covers: p.Covers.String(), By: p.By, Reason: p.Reason, Since: at(p.Since, now), Which: p.Which}
	if !p.Until.IsZero() {
		until := at(p.Until, now)
		v.Until = &until
	}
	if o := p.Opened; o != nil {
		v.OpenedBy, v.Why, v.OpenedAt = o.By, o.Reason, at(o.At, now)
		return v
	}
	switch {
	case len(p.Silent) > 0:
		v.State = "Not all dispatchers have heard of it yet; calls may still begin."
	case p.Waits > 0:
		v.State = "Being closed: " + count(p.Waits, "call", "calls") + " may still begin."
	case p.Runs > 0:
		v.State = "Nothing new begins. " + count(p.Runs, "call", "calls") + " under way, " + count(p.Held, "call", "calls") + " held back."
	default:
		v.State = "Nothing that it covers runs. " + count(p.Held, "call", "calls") + " held back."
	}
	return v
}

func (c *Console) closeGate(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	form := readGate(r.PostForm)
	_, err := c.o.Gates.CloseGate(r.Context(), c.o.Who(r), form.gate(c.o.Now()))
	c.gated(w, r, form, err)
}

func (c *Console) openGate(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	_, err := c.o.Gates.OpenGate(r.Context(), c.o.Who(r), r.PathValue("id"), r.PostForm.Get("reason"))
	c.gated(w, r, gateForm{}, err)
}

// gated shows the gates after an act, or what was wrong with it and what was typed.
func (c *Console) gated(w http.ResponseWriter, r *http.Request, form gateForm, err error) {
	switch {
	case err == nil:
		http.Redirect(w, r, "/gates", http.StatusSeeOther)
	case errors.Is(err, gates.ErrDenied):
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not close or open gates", err.Error(), "Nothing was changed. Ask somebody who may: an operator."})
	case errors.Is(err, gates.ErrWrong):
		c.showGates(w, r, http.StatusUnprocessableEntity, form, []string{spoken(strings.TrimPrefix(err.Error(), gates.ErrWrong.Error()+": "))})
	case errors.Is(err, gates.ErrNone), errors.Is(err, gates.ErrOpen), errors.Is(err, gates.ErrClosed):
		c.showGates(w, r, http.StatusConflict, form, []string{spoken(err.Error())})
	default:
		c.o.Logger.WarnContext(r.Context(), "a gate may not be as somebody wants it", "error", err)
		c.showGates(w, r, http.StatusServiceUnavailable, form, []string{"It is not known whether this was done. Look below, and send it again if it was not.", err.Error()})
	}
}

// readGate reads what somebody typed.
func readGate(form url.Values) gateForm {
	text := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	return gateForm{
		All: form.Get("all") == "yes", Tool: text("tool"), Plan: text("plan"), Run: text("run"), Target: text("target"), Labels: text("labels"), Reason: text("reason"), For: form.Get("for"),
	}
}

// gate is what is to be closed.
func (f gateForm) gate(now time.Time) gates.Gate {
	g := gates.Gate{Reason: f.Reason, Since: now, Covers: gates.Covers{All: f.All, Tool: f.Tool, Plan: f.Plan, Run: f.Run, Target: f.Target}}
	for _, l := range strings.Fields(f.Labels) {
		k, v, _ := strings.Cut(l, "=")
		if g.Covers.Labels == nil {
			g.Covers.Labels = map[string]string{}
		}
		g.Covers.Labels[k] = v
	}
	for _, s := range gateSpans {
		if s.Value == f.For && s.span > 0 {
			g.Until = now.Add(s.span)
		}
	}
	return g
}

// shut are the gates that a page's head tells of, the newest first; more is how many there is no room for.
func (c *Console) shut() (list []gateView, more int) {
	if c.o.Gates == nil {
		return nil, 0
	}
	for _, g := range c.o.Gates.ClosedGates() {
		if len(list) == maxBanners {
			more++
			continue
		}
		list = append(list, shownGate(&gates.Progress{Gate: g}, c.o.Now()))
	}
	return list, more
}
