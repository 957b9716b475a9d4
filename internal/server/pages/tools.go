package pages

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/bus"
)

type toolsView struct {
	Tools    []toolView
	Unserved int
	Workers  []workerView
	Mixed    bool // not all are of one version
}

// workerView is one worker.
type workerView struct {
	bus.Worker
	Tools string // the tools that it serves
	Full  bool   // it is executing as many attempts as it may
	Up    string // for how long
}

type toolView struct {
	Tool   string
	Served bool
	Parked int
	Waits  bool // steps are queued, and no worker serves it
	Rungs  []rungView
}

// Words says how many steps of the tool wait for a person.
func (t toolView) Words() string { return count(t.Parked, "waits", "wait") + " for a person" }

// Words says how many tools no worker serves.
func (v toolsView) Words() string { return count(v.Unserved, "tool", "tools") }

type rungView struct {
	RungHealth
	Age string // of the oldest queued step
}

func (c *Console) tools(w http.ResponseWriter, r *http.Request) {
	list, err := c.o.Tools(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	workers, err := c.o.Workers(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := makeTools(list, c.o.Now())
	v.addWorkers(workers, c.o.Now())
	title := "Tools"
	if v.Unserved > 0 {
		title += " (" + strconv.Itoa(v.Unserved) + " without a worker)"
	}
	c.show(w, r, http.StatusOK, "tools", page{Title: title, Nav: "tools", Body: v})
}

// makeTools lists the tools that no worker serves first, then those with most to do.
func makeTools(list []ToolHealth, now time.Time) toolsView {
	var v toolsView
	for _, t := range list {
		tv := toolView{Tool: t.Tool, Served: t.Served, Parked: t.Parked}
		for _, h := range t.Rungs {
			rv := rungView{RungHealth: h}
			if !h.Oldest.IsZero() {
				rv.Age = age(now.Sub(h.Oldest))
			}
			tv.Rungs = append(tv.Rungs, rv)
			tv.Waits = tv.Waits || h.Queued > 0 && !t.Served
		}
		if !t.Served {
			v.Unserved++
		}
		v.Tools = append(v.Tools, tv)
	}
	slices.SortStableFunc(v.Tools, func(a, b toolView) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Tool, b.Tool))
	})
	return v
}

func (v *toolsView) addWorkers(all []bus.Worker, now time.Time) {
	for _, w := range all {
		v.Mixed = v.Mixed || w.Version != all[0].Version
		v.Workers = append(v.Workers, workerView{Worker: w, Tools: strings.Join(toolsOf(w.Serves), ", "), Full: w.Executing >= w.Concurrency, Up: age(now.Sub(w.Started))})
	}
}

// toolsOf returns the tools in a list of tool/rung, each once.
func toolsOf(serves []string) []string {
	var list []string
	for _, s := range serves {
		tool, _, _ := strings.Cut(s, "/")
		if !slices.Contains(list, tool) {
			list = append(list, tool)
		}
	}
	return list
}

func rank(t toolView) int {
	switch {
	case t.Waits:
		return 0
	case !t.Served:
		return 1
	}
	return 2
}
