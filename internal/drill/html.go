package drill

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// block is a table of the page.
type block struct {
	Columns []string
	Rows    []row
}

type row struct {
	Fault, Title string
	Cells        []*Cell
}

// Word is a cell in the table.
func (c *Cell) Word() string { return c.word() }

// Kind is the outcome as a class of the page's style.
func (c *Cell) Kind() string { return strings.ToLower(c.Outcome.String()) }

// Two reports whether a fault that comes once ends better than one that stays.
func (c *Cell) Two() bool { return c.Once != Blank && c.Once < c.Outcome && !c.Outcome.Bad() }

// Note is what the cell says about itself.
func (c *Cell) Note() string {
	if c.Outcome == Blank {
		return c.Name() + " cannot happen: " + c.Why
	}
	return c.Name() + ": " + judgement{c.Outcome, c.By, c.Why}.sentence() + ", " + Spoken(time.Duration(c.Took))
}

// Story is the timeline of the cell's plays.
func (c *Cell) Story() string {
	var b strings.Builder
	c.Timeline(&b)
	return b.String()
}

// Shown reports whether the page has a cell's timeline: that of each one in which a person is asked or the run fails.
func (c *Cell) Shown() bool { return c.Outcome >= Person }

func (r *Report) blocks() []block {
	var all []block
	for _, kind := range []targetKind{onRung, onQuestion, onDispatcher} {
		var b block
		for _, t := range r.targets {
			if t.kind == kind {
				b.Columns = append(b.Columns, t.Name())
			}
		}
		if len(b.Columns) == 0 {
			continue
		}
		for _, f := range faultsOf(kind) {
			one := row{Fault: f.name, Title: f.title}
			for _, t := range b.Columns {
				one.Cells = append(one.Cells, r.Find(t+"/"+f.name))
			}
			b.Rows = append(b.Rows, one)
		}
		all = append(all, b)
	}
	return all
}

// HTML writes the report as one page that needs nothing else, and no scripts.
func (r *Report) HTML(w io.Writer, changes []Change) error {
	return page.Execute(w, struct {
		*Report
		Blocks  []block
		Changes []Change
	}{r, r.blocks(), changes})
}
