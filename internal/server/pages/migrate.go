package pages

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Migrations lets open runs go on under other plans of the server. The errors are [*runlog.Unmigratable], [runlog.ErrInvalid] and
// [runlog.ErrBadInput] where the plan cannot be used, [runlog.ErrConflict] where the run has moved on, and those of [Runs].
type Migrations interface {
	// Plans are the names of the plans that there are.
	Plans() []string
	// PlanMigration says what would become of each step, and changes nothing.
	PlanMigration(ctx context.Context, run string, to Migration) (steps.Migration, error)
	// Migrate lets the run go on. The same request is carried out once. It gives the id of the run that it goes on as; empty: that one
	// is not there yet.
	Migrate(ctx context.Context, run string, to Migration, who runlog.Retried) (next string, err error)
}

// Migration is how a run is to go on.
type Migration struct {
	Plan string   // the name of the other plan
	Drop []string // steps that are done, and that the plan may do without
}

// migrateView asks under which plan a run goes on and, once that is chosen, shows the proof and asks for confirmation.
type migrateView struct {
	Path       string // of the form
	Run, Short string // the path of the page of the run, and its name there
	Plan       string // the chosen one; empty = none yet
	Choices    []choice
	Dropped    []string // steps that the plan may do without
	Droppable  []choice // steps that are done, and that the plan does not have
	Steps      []row    // what becomes of each
	Asked      []string // questions that are withdrawn
	Refused    []string // why it is not possible
	Reason     string
	Errors     []string
}

// offerMigration lets the reader have an open run go on under another plan.
func (c *Console) offerMigration(r *http.Request, v *runView, d view.Document) {
	if c.o.Migrations == nil || d.State.Ended() || d.Ending != "" || !migrates(c.o.Who(r)) {
		return
	}
	if plans := c.o.Migrations.Plans(); len(plans) > 0 {
		v.Migrate = &migrateView{Path: migratePath(d.ID), Choices: planChoices(plans, d.Workflow)}
	}
}

func migratePath(run string) string { return runPath(run) + "/migrate" }

// migrates reports whether somebody may let runs go on under other plans: that ends one, and has another one begin.
func migrates(p people.Actor) bool { return p.May(people.Cancel) == nil && p.May(people.Submit) == nil }

func planChoices(plans []string, chosen string) (list []choice) {
	for _, name := range plans {
		list = append(list, choice{name, "", name == chosen})
	}
	return list
}

// migrateForm shows what would become of the run under the chosen plan.
func (c *Console) migrateForm(w http.ResponseWriter, r *http.Request) {
	c.showMigration(w, r, http.StatusOK, r.URL.Query(), nil)
}

// migrate lets a run go on under another plan, or shows what is in the way.
func (c *Console) migrate(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) || !c.mayMigrate(w, r) {
		return
	}
	run, form, p := r.PathValue("id"), r.PostForm, c.o.Who(r)
	who := runlog.Retried{By: p.Name, Via: p.Via, Reason: form.Get("reason"), Token: p.Token}
	if p.Token != "" {
		who.Prove = c.o.Prove
	}
	next, err := c.o.Migrations.Migrate(r.Context(), run, migrationOf(form), who)
	switch {
	case err == nil:
		c.o.Logger.InfoContext(r.Context(), "a person lets a run go on under another plan", "run_id", run, "next", next, "by", p.Name)
		http.Redirect(w, r, runPath(cmp.Or(next, run)), http.StatusSeeOther)
	case errors.Is(err, runlog.ErrNoMigration):
		c.showMigration(w, r, http.StatusConflict, form, []string{"Nothing was changed."})
	case errors.Is(err, runlog.ErrConflict), errors.Is(err, runlog.ErrEnded):
		c.showMigration(w, r, http.StatusConflict, form, []string{"Nothing was changed: " + err.Error()})
	case unusable(err):
		c.showMigration(w, r, http.StatusUnprocessableEntity, form, nil)
	case errors.Is(err, runlog.ErrNoRun), errors.Is(err, runlog.ErrBadID):
		c.fail(w, r, err)
	default:
		c.o.Logger.WarnContext(r.Context(), "a run may have been migrated", "run_id", run, "by", p.Name, "error", err)
		c.showProblem(w, r, http.StatusServiceUnavailable, problem{"What came of it is not known", err.Error(), "The page of the run says whether it goes on elsewhere."})
	}
}

// unusable reports whether an error says that the plan cannot be used.
func unusable(err error) bool {
	return errors.Is(err, runlog.ErrInvalid) || errors.Is(err, runlog.ErrBadInput)
}

func migrationOf(form url.Values) Migration {
	return Migration{Plan: form.Get("plan"), Drop: form["drop"]}
}

func (c *Console) mayMigrate(w http.ResponseWriter, r *http.Request) bool {
	if c.o.Migrations == nil || len(c.o.Migrations.Plans()) == 0 {
		c.nowhere(w, r)
		return false
	}
	if p := c.o.Who(r); !migrates(p) {
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not let a run go on under another plan", "Your role, " + cmp.Or(roleOf(p), "a reader") + ", does not allow it.", "Nothing was changed. Ask somebody who may."})
		return false
	}
	return true
}

func (c *Console) showMigration(w http.ResponseWriter, r *http.Request, status int, form url.Values, wrong []string) {
	if !c.mayMigrate(w, r) {
		return
	}
	d, err := c.o.Runs.Document(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	to, plans := migrationOf(form), c.o.Migrations.Plans()
	v := migrateView{Path: migratePath(d.ID), Run: runPath(d.ID), Short: tail(d.ID), Plan: to.Plan, Dropped: to.Drop, Reason: form.Get("reason"), Errors: wrong}
	v.Choices = planChoices(plans, cmp.Or(v.Plan, d.Workflow))
	if v.Plan != "" && !slices.Contains(plans, v.Plan) {
		v.Errors, v.Plan, status = append(v.Errors, "The server has no plan of this name."), "", http.StatusUnprocessableEntity
	}
	if v.Plan != "" {
		proof, err := c.o.Migrations.PlanMigration(r.Context(), d.ID, to)
		switch {
		case unusable(err):
			v.Errors, v.Plan, status = append(v.Errors, err.Error()), "", http.StatusUnprocessableEntity
		case err != nil:
			c.fail(w, r, err)
			return
		}
		v.fill(&proof)
	}
	c.show(w, r, status, "migrate", page{Title: "Another plan for " + v.Short, Nav: "runs", Body: v})
}

// fill says what would become of each step.
func (v *migrateView) fill(proof *steps.Migration) {
	v.Asked = proof.Asked
	for _, o := range proof.Refused {
		v.Refused = append(v.Refused, o.String())
	}
	for _, s := range proof.Steps {
		v.Steps = append(v.Steps, row{Name: s.Step, Text: string(s.Fate) + ": " + s.Why})
		if s.Fate == steps.MigrationMissing || s.Fate == steps.MigrationDropped {
			v.Droppable = append(v.Droppable, choice{s.Step, "", s.Fate == steps.MigrationDropped})
		}
	}
}
