package drill

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the headline, and a row for each cell that is bad or has changed.
func (r *Report) Markdown(w io.Writer, changes []Change) {
	fmt.Fprintf(w, "### %s\n", r.Headline())
	rows := 0
	row := func(cells ...string) {
		if rows == 0 {
			fmt.Fprint(w, "\n| cell | was | is | |\n|---|---|---|---|\n")
		}
		rows++
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", "\\|")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	seen := map[string]bool{}
	for _, c := range changes {
		seen[c.Cell] = true
		why := ""
		if cell := r.Find(c.Cell); cell != nil {
			why = cell.Why
		}
		row(c.Cell, c.Was.String(), c.Is.String(), why)
	}
	for _, c := range r.bad() {
		if !seen[c.Name()] {
			row(c.Name(), "", c.Outcome.String(), c.Why)
		}
	}
}
