package pages

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// steerView is the form with which a person writes to an agent at work, on the run's page or, where something was wrong
// with what was sent, on a page of its own.
type steerView struct {
	Path       string // of the form
	Run, Short string // of the run: the path of its page, and its name there
	Step       string // the agent's
	ID         string // of the message: one that is sent twice is written once
	Field      string // id of the text's element; a page may have several agents
	Text       string
	TakeBack   int          // the turn that is chosen to be taken back, with all after it; 0 = none
	Turns      []turnChoice // that can be, the last one first
	Error      string       // what is wrong with the text
	Errors     []string     // what is wrong otherwise
	Conflict   string       // why nobody reads it any more; the text is only shown then
}

// turnChoice is a turn that can be taken back.
type turnChoice struct {
	Number int
	Last   bool // no other comes after it
}

// newSteer makes an empty form for an agent; nil = there is none, and the form only gives back what was typed.
func newSteer(run, step string, a *view.Agent) steerView {
	v := steerView{Path: runPath(run) + "/steer", Run: runPath(run), Short: tail(run), Step: step, ID: rand.Text(), Field: "text"}
	if a == nil {
		return v
	}
	for n, t := range slices.Backward(a.Turns) {
		if t.Back == nil {
			v.Turns = append(v.Turns, turnChoice{t.Number, n == len(a.Turns)-1})
		}
	}
	return v
}

// offerSteering gives each agent that can be written to its form, if the reader may do that.
func (v *runView) offerSteering(d view.Document, p people.Actor) {
	if p.May(people.Steer) != nil {
		return
	}
	for i := range v.Agents {
		if a := &d.Agents[i]; silent(d, a) == "" {
			form := newSteer(d.ID, a.Step, a)
			form.Field += strconv.Itoa(i)
			v.Agents[i].Steer = &form
		}
	}
}

// silent says why nobody can write to an agent of a run; empty if people can.
func silent(d view.Document, a *view.Agent) string {
	switch {
	case d.State.Ended():
		return "the run " + string(d.State)
	case a == nil:
		return "no agent there is at work"
	}
	return a.MayNotSteer
}

// steerForm is the form alone. Where nobody can write to the agent, the run's page says what became of it.
func (c *Console) steerForm(w http.ResponseWriter, r *http.Request) {
	d, a, ok := c.agentFor(w, r, r.URL.Query().Get("step"))
	if !ok {
		return
	}
	if silent(d, a) != "" {
		http.Redirect(w, r, runPath(d.ID), http.StatusSeeOther)
		return
	}
	c.showSteer(w, r, http.StatusOK, newSteer(d.ID, a.Step, a))
}

// steer writes a message to an agent or takes turns of it back, or shows the form again with what was typed and what is wrong.
func (c *Console) steer(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	d, a, ok := c.agentFor(w, r, r.PostForm.Get("step"))
	if !ok {
		return
	}
	v := newSteer(d.ID, r.PostForm.Get("step"), a)
	if status := v.take(r.PostForm); status != http.StatusOK {
		c.showSteer(w, r, status, v)
		return
	}
	if a == nil {
		v.Conflict = spoken(silent(d, a))
		c.showSteer(w, r, http.StatusConflict, v)
		return
	}
	p := c.o.Who(r)
	done, err := c.o.Runs.Steer(r.Context(), d.ID, steps.Steered{ID: v.ID, Step: v.Step, Text: v.Text, TakeBack: v.TakeBack, By: p.Name, Via: p.Via})
	if err != nil {
		c.showSteer(w, r, v.failed(done, err, c), v)
		return
	}
	c.o.Logger.InfoContext(r.Context(), "a person wrote to an agent", "run", d.ID, "step", v.Step, "by", p.Name, "take_back", v.TakeBack)
	said{people.Steer, effect(done.Text, v.Step), done.Outcome == view.OutcomeRepeated, v.TakeBack > 0}.say(w, r, v.Run)
}

// take reads what a person sent into the form, and returns the HTTP status: 200 where nothing is wrong with it.
func (v *steerView) take(form url.Values) int {
	v.ID, v.Text = cmp.Or(form.Get("message_id"), v.ID), strings.ReplaceAll(form.Get("text"), "\r\n", "\n")
	back := form.Get("take_back")
	v.TakeBack, _ = strconv.Atoi(back)
	switch n := len(strings.TrimSpace(v.Text)); {
	case v.TakeBack < 0, back != "" && v.TakeBack == 0:
		v.TakeBack, v.Errors = 0, append(v.Errors, "Choose a turn to take back, or nothing.")
	case n == 0 && v.TakeBack == 0:
		v.Error = "Write the message, or choose a turn to take back."
	case n > runlog.MaxMessage:
		v.Error = fmt.Sprintf("A message has at most %d bytes, and this one has %d. Shorten it.", runlog.MaxMessage, n)
	default:
		return http.StatusOK
	}
	return http.StatusUnprocessableEntity
}

// failed writes into the form why a message was not written, and returns the HTTP status.
func (v *steerView) failed(done view.Reply, err error, c *Console) int {
	switch {
	case done.Outcome == view.OutcomeUncertain: // said below
	case done.Outcome == view.OutcomeSameID:
		v.ID = rand.Text()
		v.Errors = append(v.Errors, "Another message was sent from the same page, and the agent has it. Send this one if it is to read both.")
		return http.StatusConflict
	case errors.Is(err, runlog.ErrEnded):
		v.Conflict = "The run is over: " + cmp.Or(done.Text, "it has ended") + "."
		return http.StatusConflict
	case errors.Is(err, runlog.ErrNoTurn):
		v.Errors = append(v.Errors, "Nothing was taken back.", spoken(done.Text, v.Step))
		return http.StatusConflict
	case errors.Is(err, runlog.ErrNoAgent):
		v.Conflict = spoken(cmp.Or(done.Text, "no agent reads it"), v.Step)
		return http.StatusConflict
	case errors.Is(err, runlog.ErrInvalid):
		v.Error = err.Error()
		return http.StatusUnprocessableEntity
	}
	c.o.Logger.Warn("a message to an agent may not be written", "run", v.Run, "step", v.Step, "error", err)
	v.Errors = append(v.Errors, "It is not known whether this was stored. Send it again: it is written only once.", err.Error())
	return http.StatusServiceUnavailable
}

func (c *Console) showSteer(w http.ResponseWriter, r *http.Request, status int, v steerView) {
	c.show(w, r, status, "steer", page{Title: "Write to agent " + v.Step, Nav: "runs", Body: v})
}

// agentFor reads the run in the path, and its agent; nil = it has no such one. It answers where the reader may write to none.
func (c *Console) agentFor(w http.ResponseWriter, r *http.Request, step string) (d view.Document, a *view.Agent, ok bool) {
	p := c.o.Who(r)
	if err := p.May(people.Steer); err != nil {
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not write to agents", "Your role, " + cmp.Or(roleOf(p), "a reader") + ", does not allow it.", "Nothing was written. Ask somebody who may."})
		return d, nil, false
	}
	d, err := c.o.Runs.Document(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return d, nil, false
	}
	if i := slices.IndexFunc(d.Agents, func(a view.Agent) bool { return a.Step == step }); i >= 0 {
		a = &d.Agents[i]
	}
	return d, a, true
}
