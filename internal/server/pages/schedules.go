package pages

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"belay/internal/people"
	"belay/internal/schedules"
)

// Schedules are what starts runs again and again. The errors are [schedules.ErrNone], [schedules.ErrDenied], [schedules.ErrPaused],
// [schedules.ErrNotPaused], [schedules.ErrBusy] and [schedules.ErrWrong]; after any other one it may or may not be done.
type Schedules interface {
	ListSchedules(ctx context.Context) ([]schedules.Schedule, error)
	ChangeSchedule(ctx context.Context, who people.Actor, name string, do schedules.Act, reason string) (schedules.Schedule, error)
	FireSchedule(ctx context.Context, who people.Actor, name string, at time.Time) (schedules.Schedule, schedules.Firing, error)
}

// schedulesView is the page of schedules.
type schedulesView struct {
	List   []scheduleView
	May    bool
	Errors []string
}

type scheduleView struct {
	Name, Plan, Cron, By, Problem string
	Rules                         string
	Next                          *moment // nil = it does not fire by itself
	There                         string  // the same, by the clocks of its zone
	Paused                        *pauseView
	Waiting                       []firingView
	Firings                       []firingView
	Left                          []string // what was left out
}

type pauseView struct {
	By, Reason string
	Since      moment
}

type firingView struct {
	At               moment
	Run, State, Word string
	By, Error        string
}

func (c *Console) schedules(w http.ResponseWriter, r *http.Request) {
	c.showSchedules(w, r, http.StatusOK, nil)
}

func (c *Console) showSchedules(w http.ResponseWriter, r *http.Request, status int, wrong []string) {
	all, err := c.o.Schedules.ListSchedules(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := schedulesView{May: c.o.Who(r).May(people.ChangeSchedule) == nil, Errors: wrong}
	for i := range all {
		v.List = append(v.List, shownSchedule(&all[i], c.o.Now()))
	}
	c.show(w, r, status, "schedules", page{Title: "Schedules", Nav: "runs", Body: v})
}

func shownSchedule(s *schedules.Schedule, now time.Time) scheduleView {
	v := scheduleView{Name: s.Name, Plan: s.Plan, Cron: s.Cron + " " + s.TZ, By: s.By, Problem: spoken(s.Problem), Rules: rulesText(s)}
	if p := s.Paused; p != nil {
		v.Paused = &pauseView{p.By, p.Reason, at(p.At, now)}
	} else if s.Next != nil {
		next := at(*s.Next, now)
		v.Next, v.There = &next, inZone(*s.Next, s.TZ)
	}
	for _, f := range s.Waiting {
		v.Waiting = append(v.Waiting, firingView{At: at(f.At, now), Run: f.Run, By: f.By})
	}
	for _, f := range s.Firings {
		shown := firingView{At: at(f.At, now), Run: f.Run, State: string(f.State), Word: string(f.State), By: f.By, Error: f.Error}
		switch {
		case f.Error != "":
			shown.Word = "refused"
		case f.State == "":
			shown.Word = "not kept"
		}
		v.Firings = append(v.Firings, shown)
	}
	if m := s.Missed; m != nil {
		v.Left = append(v.Left, count(m.N, "firing was", "firings were")+" missed, the last at "+inZone(m.Last, s.TZ)+".")
	}
	if l := s.Skipped; l != nil {
		v.Left = append(v.Left, count(l.N, "firing was", "firings were")+" left out because the run before was open, the last at "+inZone(l.Last, s.TZ)+".")
	}
	return v
}

// rulesText says what becomes of firings that cannot be made in time.
func rulesText(s *schedules.Schedule) string {
	overlap := map[schedules.Overlap]string{
		schedules.Skip: "it is left out", schedules.Wait: "one waits", schedules.Queue: "it waits its turn",
		schedules.Cancel: "the run before is cancelled", schedules.Allow: "both run",
	}[s.Overlap]
	catchUp := map[schedules.CatchUp]string{
		schedules.CatchNone: "nothing of what was missed is made up for",
		schedules.CatchLast: "the last one that was missed is made up for", schedules.CatchAll: "all that were missed are made up for",
	}[s.CatchUp]
	return "While the run before is open " + overlap + "; " + catchUp + "."
}

func inZone(t time.Time, zone string) string {
	if loc, err := time.LoadLocation(zone); err == nil {
		t = t.In(loc)
	}
	return t.Format("2 Jan 15:04:05 MST")
}

// changeSchedule is the handler that does one thing about a schedule.
func (c *Console) changeSchedule(do schedules.Act) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !c.parse(w, r) {
			return
		}
		_, err := c.o.Schedules.ChangeSchedule(r.Context(), c.o.Who(r), r.PathValue("name"), do, r.PostForm.Get("reason"))
		c.scheduled(w, r, err)
	}
}

func (c *Console) fireSchedule(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	_, _, err := c.o.Schedules.FireSchedule(r.Context(), c.o.Who(r), r.PathValue("name"), c.o.Now())
	c.scheduled(w, r, err)
}

// scheduled shows the schedules after an act, or what was wrong with it.
func (c *Console) scheduled(w http.ResponseWriter, r *http.Request, err error) {
	conflict := func(is ...error) bool {
		for _, one := range is {
			if errors.Is(err, one) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		http.Redirect(w, r, "/schedules", http.StatusSeeOther)
	case errors.Is(err, schedules.ErrDenied):
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not change schedules", err.Error(), "Nothing was changed. Ask somebody who may: an operator."})
	case errors.Is(err, schedules.ErrWrong):
		c.showSchedules(w, r, http.StatusUnprocessableEntity, []string{spoken(strings.TrimPrefix(err.Error(), schedules.ErrWrong.Error()+": "))})
	case conflict(schedules.ErrNone, schedules.ErrPaused, schedules.ErrNotPaused, schedules.ErrBusy):
		c.showSchedules(w, r, http.StatusConflict, []string{spoken(err.Error())})
	default:
		c.o.Logger.WarnContext(r.Context(), "a schedule may not be as somebody wants it", "error", err)
		c.showSchedules(w, r, http.StatusServiceUnavailable, []string{"It is not known whether this was done. Look below, and send it again if it was not.", err.Error()})
	}
}
