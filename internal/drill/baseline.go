package drill

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Baseline is a drill that was committed: how each cell ended then.
type Baseline struct {
	Plan  string             `json:"plan"`
	Cells map[string]Outcome `json:"cells"` // by name
}

// Baseline is what is committed of a report.
func (r *Report) Baseline() Baseline {
	b := Baseline{Plan: r.Name, Cells: map[string]Outcome{}}
	for _, c := range r.Cells {
		if c.Outcome != Blank {
			b.Cells[c.Name()] = c.Outcome
		}
	}
	return b
}

// ErrBaseline says that a file is not a baseline, or one of another plan.
var ErrBaseline = errors.New("not a baseline of this plan")

// ParseBaseline reads a baseline of a plan.
func ParseBaseline(data []byte, plan string) (*Baseline, error) {
	var b Baseline
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%w: %w; make one with --write-baseline", ErrBaseline, err)
	}
	if b.Plan != plan || b.Cells == nil {
		return nil, fmt.Errorf("%w: it is of plan %q, this one is %q; make one with --write-baseline", ErrBaseline, b.Plan, plan)
	}
	return &b, nil
}

// Change is a cell that ends in another way than in the baseline.
type Change struct {
	Cell string  `json:"cell"`
	Was  Outcome `json:"was"` // blank: it was not there
	Is   Outcome `json:"is"`  // blank: it is not there any more
}

// Worse reports whether a cell that was there ends worse.
func (c Change) Worse() bool { return c.Is > c.Was && c.Was != Blank || c.Is.Bad() }

// Against lists the cells that have changed since a baseline, the worse ones first.
func (r *Report) Against(b *Baseline) []Change {
	var list []Change
	seen := map[string]bool{}
	for _, c := range r.Cells {
		if was := b.Cells[c.Name()]; c.Outcome != Blank || was != Blank {
			seen[c.Name()] = true
			if was != c.Outcome {
				list = append(list, Change{c.Name(), was, c.Outcome})
			}
		}
	}
	var gone []string
	for name := range b.Cells {
		if !seen[name] {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	for _, name := range gone {
		list = append(list, Change{Cell: name, Was: b.Cells[name]})
	}
	slices.SortStableFunc(list, func(a, b Change) int {
		switch {
		case a.Worse() == b.Worse():
			return 0
		case a.Worse():
			return -1
		}
		return 1
	})
	return list
}

// Changes writes what has changed since the baseline; it returns whether something is worse.
func Changes(w io.Writer, list []Change) (worse bool) {
	for _, c := range list {
		what := "changed"
		switch {
		case c.Worse():
			what, worse = "WORSE", true
		case c.Was == Blank:
			what = "new"
		case c.Is == Blank:
			what = "gone"
		case c.Is < c.Was:
			what = "better"
		}
		fmt.Fprintf(w, "%-7s  %s: %s -> %s\n", what, c.Cell, c.Was, c.Is)
	}
	return worse
}
