package schedules

import (
	"context"
	"maps"
	"slices"
	"strings"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// List returns all schedules by their names, with the states of their last runs and what is wrong with them now. It makes nothing.
func List(ctx context.Context, b *bus.Bus, log *runlog.Log) ([]Schedule, error) {
	all, err := Of(b).entries(ctx)
	if err != nil || len(all) == 0 {
		return []Schedule{}, err
	}
	served := servedBy(ctx, b)
	list := []Schedule{}
	for i := range all {
		list = append(list, all[i].seen(ctx, log, served))
	}
	return list, nil
}

// Find returns the schedule of a name, as [List] does.
func Find(ctx context.Context, b *bus.Bus, log *runlog.Log, name string) (Schedule, error) {
	e, err := Of(b).find(ctx, name)
	if err != nil {
		return Schedule{}, err
	}
	return e.seen(ctx, log, servedBy(ctx, b)), nil
}

// seen is the schedule with what is known elsewhere.
func (e *entry) seen(ctx context.Context, log *runlog.Log, served map[string]bool) Schedule {
	s := e.shown()
	s.Firings = slices.Clone(s.Firings)
	for i := range s.Firings {
		if st, err := log.Load(ctx, s.Firings[i].Run); err == nil {
			s.Firings[i].State = st.Status()
		}
	}
	s.Problem = e.problem(log, served)
	return s
}

// problem says why the next run will not do well.
func (e *entry) problem(log *runlog.Log, served map[string]bool) string {
	if err := log.Check(e.Name, e.submission(e.firing(e.Upto))); err != nil {
		return "its run would be refused: " + err.Error() + "; add it once more, with --replace"
	}
	if lacks := unserved(e.Order.Document, served); len(lacks) > 0 {
		return "no worker serves " + strings.Join(lacks, ", ") + " now; its run would wait for one"
	}
	return ""
}

// servedBy are the rungs that workers serve now, as tool/rung; nil where that is not known.
func servedBy(ctx context.Context, b *bus.Bus) map[string]bool {
	workers, err := b.Workers(ctx)
	if err != nil {
		return nil
	}
	served := map[string]bool{}
	for _, w := range workers {
		for _, s := range w.Serves {
			served[s] = true
		}
	}
	return served
}

// unserved are the tools of a plan of which no worker serves any rung.
func unserved(document []byte, served map[string]bool) (lacks []string) {
	var def steps.Definition
	if served == nil || exactjson.Unmarshal(document, &def) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(def.Tools)) {
		rungs := def.Tools[name].Rungs
		done := func(r steps.Rung) bool { return r.Executor == "human" || served[name+"/"+r.Name] }
		if !slices.ContainsFunc(rungs, done) {
			lacks = append(lacks, name)
		}
	}
	return lacks
}
