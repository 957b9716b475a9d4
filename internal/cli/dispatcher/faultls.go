package dispatcher

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/injection"
	"belay/internal/text"
)

// faultRow is a fault on purpose in the list.
type faultRow struct {
	injection.Order
	Active   bool   `json:"active"`   // its time is not over
	Injected uint64 `json:"injected"` // how often, by the workers that run now
}

func (a *app) faultLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List faults on purpose, with how often each was injected",
		Long:    "Lists the faults of the last 24 hours. INJECTED is how often the workers that run now have injected each; one that died has taken\nits count with it.",
		Example: "  dispatcher fault ls", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			all, err := injection.Of(s.Bus).List(c.Context())
			if err != nil {
				return err
			}
			workers, err := s.Bus.Workers(c.Context())
			if err != nil {
				return err
			}
			rows := []faultRow{}
			for _, o := range all {
				rows = append(rows, faultRow{o, o.Active(cli.Now()), injectedBy(workers, &o)})
			}
			if a.JSON() {
				return a.PrintJSON(rows)
			}
			return a.listFaults(rows)
		}}
}

func injectedBy(workers []bus.Worker, o *injection.Order) (n uint64) {
	for _, w := range workers {
		if w.Faults != nil && (o.Worker == "" || o.Worker == w.Name) {
			n += w.Faults.Injected[o.ID]
		}
	}
	return n
}

func (a *app) listFaults(all []faultRow) error {
	if len(all) == 0 {
		fmt.Fprintln(a.Out, a.Named("There are no faults on purpose. Ask for one with: dispatcher fault add --tool TOOL --class CLASS --for 10m"))
		return nil
	}
	var rows [][]any
	for _, r := range all {
		until := "ended"
		if r.Active {
			until = clock(r.Until)
		}
		by := r.By
		if r.Worker != "" {
			by = r.Worker
		}
		rows = append(rows, []any{r.ID, until, text.Cut(text.Line(by), 16), r.Share(), r.Injected, text.Line(r.Where() + ": " + r.Does())})
	}
	return a.List([]any{"ID", "UNTIL", "BY", "RATE", "INJECTED", "WHAT"}, rows)
}

// servers are the workers that run now, as far as an order concerns them.
type servers struct {
	running  int          // in all
	serving  []bus.Worker // those that serve the tool and rung
	allowing []bus.Worker // of these, those that inject faults
	able     []bus.Worker // of these, those that can do what is asked for
}

func workersFor(all []bus.Worker, o *injection.Order) (s servers) {
	s.running = len(all)
	for _, w := range all {
		if !slices.ContainsFunc(w.Serves, func(served string) bool {
			tool, rung, _ := strings.Cut(served, "/")
			return tool == o.Tool && (o.Rung == "" || rung == o.Rung)
		}) {
			continue
		}
		s.serving = append(s.serving, w)
		if w.Faults == nil {
			continue
		}
		s.allowing = append(s.allowing, w)
		if slices.Contains(w.Faults.Kinds, string(o.Kind)) {
			s.able = append(s.able, w)
		}
	}
	return s
}

// foresee says what will come of an order. The error is what no worker would do.
func (s servers) foresee(o *injection.Order) (warnings []string, err error) {
	for _, w := range s.allowing {
		if slices.Contains(w.Faults.Unsafe, o.Tool) && o.Unsafe == "" {
			return nil, cli.Usage("the effects of %s are unsafe, says the tools file of worker %s: a call that may have acted is not repeated, and people are asked. To inject faults all the same, name it a second time: --unsafe %s", o.Tool, w.Name, o.Tool)
		}
	}
	what := o.Tool
	if o.Rung != "" {
		what += "/" + o.Rung
	}
	switch {
	case s.running == 0:
		return []string{"no worker is running, so nothing is injected; start one with `worker --allow-faults --tools FILE`"}, nil
	case len(s.serving) == 0:
		return []string{"none of the workers that run now serves " + what + "; is the name right? (`dispatcher workers ls`)"}, nil
	case len(s.allowing) == 0:
		return []string{"no running worker that serves " + what + " allows faults, so nothing is injected; start one with `worker --allow-faults`, or `dispatcher dev --allow-faults`"}, nil
	case len(s.able) == 0:
		return nil, cli.Usage("--kind %s: the workers that serve %s and allow faults share their process with a server or a dispatcher, which would suffer it too; start one of its own: worker --tools FILE --allow-faults", o.Kind, what)
	case len(s.able) < len(s.serving):
		return []string{fmt.Sprintf("%d of the %d workers that serve %s inject it; the others execute as always", len(s.able), len(s.serving), what)}, nil
	}
	return nil, nil
}

// clock is a time by this machine's clock, with the day if it is not today.
func clock(t time.Time) string {
	t, now := t.Local(), cli.Now().Local()
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format("15:04:05")
}
