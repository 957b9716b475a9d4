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

// Ended finds the tokens with which nobody answers for anything any more: by id, what is to be said of that. Nil where that cannot be found out.
type Ended func(ctx context.Context, b *bus.Bus) (map[string]string, error)

// List returns all schedules by their names, with the states of their last runs and what is wrong with them now. It makes nothing.
func List(ctx context.Context, b *bus.Bus, log *runlog.Log, ended Ended) ([]Schedule, error) {
	all, err := Of(b).entries(ctx)
	if err != nil || len(all) == 0 {
		return []Schedule{}, err
	}
	around := surroundingsOf(ctx, b, ended)
	list := []Schedule{}
	for i := range all {
		list = append(list, all[i].seen(ctx, log, around))
	}
	return list, nil
}

// Find returns the schedule of a name, as [List] does.
func Find(ctx context.Context, b *bus.Bus, log *runlog.Log, name string, ended Ended) (Schedule, error) {
	e, err := Of(b).find(ctx, name)
	if err != nil {
		return Schedule{}, err
	}
	return e.seen(ctx, log, surroundingsOf(ctx, b, ended)), nil
}

// seen is the schedule with what is known elsewhere.
func (e *entry) seen(ctx context.Context, log *runlog.Log, around surroundings) Schedule {
	s := e.shown()
	s.Firings = slices.Clone(s.Firings)
	for i := range s.Firings {
		if st, err := log.Load(ctx, s.Firings[i].Run); err == nil {
			s.Firings[i].State = st.Status()
		}
	}
	s.Problem = e.problem(log, around)
	return s
}

// surroundings are what has to do with schedules and stands elsewhere. What cannot be found out is left out.
type surroundings struct {
	served map[string]bool   // the rungs that workers serve now, as tool/rung; nil where that is not known
	ended  map[string]string // see [Ended]
}

func surroundingsOf(ctx context.Context, b *bus.Bus, ended Ended) surroundings {
	around := surroundings{served: servedBy(ctx, b)}
	if ended != nil {
		around.ended, _ = ended(ctx, b)
	}
	return around
}

// LeftBehind names the schedules that were added with a token with which nobody answers for anything any more, and whose they are. They fire all
// the same. It makes nothing.
func LeftBehind(ctx context.Context, b *bus.Bus, ended Ended) (list []string, err error) {
	all, err := Of(b).entries(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	tokens, err := ended(ctx, b)
	for i := range all {
		if tokens[all[i].Order.Token] != "" {
			list = append(list, all[i].Name+" (of "+all[i].By+")")
		}
	}
	return list, err
}

// problem says why the next run will not do well, or that nobody may answer for it any more.
func (e *entry) problem(log *runlog.Log, around surroundings) string {
	if err := log.Check(e.Name, e.submission(e.firing(e.Upto))); err != nil {
		return "its run would be refused: " + err.Error() + "; add it once more, with --replace"
	}
	var said []string
	if lacks := unserved(e.Order.Document, around.served); len(lacks) > 0 {
		said = append(said, "no worker serves "+strings.Join(lacks, ", ")+" now; its run would wait for one")
	}
	if words := around.ended[e.Order.Token]; words != "" {
		said = append(said, "the token that it was added with "+words+"; it fires all the same: pause or remove it, or have somebody add it once more with --replace")
	}
	return strings.Join(said, ". Also, ")
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
