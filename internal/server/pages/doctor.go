package pages

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"belay/internal/doctor"
)

type systemView struct {
	doctor.Report
	Looked moment
	Groups []findingsView
}

// findingsView are the findings of one state.
type findingsView struct {
	State doctor.State
	Title string
	Class string
	All   []findingView
}

type findingView struct {
	doctor.Finding
	Steps []stepView // what to do
}

// stepView is a piece of a sentence: words, or something to type.
type stepView struct {
	Text string
	Code bool
}

// states are the states in the order in which a person wants to know of them.
var states = []findingsView{
	{State: doctor.Fail, Title: "Must not be so", Class: "red"},
	{State: doctor.Warn, Title: "Should be otherwise", Class: "amber"},
	{State: doctor.Unknown, Title: "Cannot be seen from here"},
	{State: doctor.OK, Title: "As it should be", Class: "green"},
}

// system shows what `dispatcher doctor` finds.
func (c *Console) system(w http.ResponseWriter, r *http.Request) {
	v := systemView{Report: c.o.Examine(r.Context())}
	v.Looked = at(v.At, c.o.Now())
	for _, g := range slices.Clone(states) {
		for _, f := range v.Findings {
			if f.State == g.State {
				g.All = append(g.All, findingView{f, typed(f.Do)})
			}
		}
		if len(g.All) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	title := "System"
	if n := v.Count(doctor.Fail); n > 0 {
		title += " (" + strconv.Itoa(n) + " must not be so)"
	}
	c.show(w, r, http.StatusOK, "system", page{Title: title, Nav: "system", Body: v})
}

// typed takes a sentence apart in which what is to be typed stands between backticks.
func typed(sentence string) (all []stepView) {
	for i, text := range strings.Split(sentence, "`") {
		if text != "" {
			all = append(all, stepView{text, i%2 == 1})
		}
	}
	return all
}
