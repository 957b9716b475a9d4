package console

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

type toolsView struct {
	Tools    []toolView
	Unserved int
}

type toolView struct {
	Tool   string
	Served bool
	Parked int
	Waits  bool // work waits for it, and nobody takes it
	Rungs  []rungView
}

// Words say how many steps of a tool wait for a person.
func (t toolView) Words() string { return count(t.Parked, "waits", "wait") + " for a person" }

// Words say how many tools nobody serves.
func (v toolsView) Words() string { return count(v.Unserved, "tool", "tools") }

type rungView struct {
	RungHealth
	Age string // of the oldest queued step
}

func (c *Console) tools(w http.ResponseWriter, r *http.Request) {
	list, err := c.o.Fleet.Tools(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := makeTools(list, c.o.Now())
	title := "Tools"
	if v.Unserved > 0 {
		title += " (" + strconv.Itoa(v.Unserved) + " without a worker)"
	}
	c.show(w, r, http.StatusOK, "tools", page{Title: title, Nav: "tools", Body: v})
}

// makeTools puts what nobody serves first, then what has most to do.
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

func rank(t toolView) int {
	switch {
	case t.Waits:
		return 0
	case !t.Served:
		return 1
	}
	return 2
}
