package prove

import (
	"fmt"
	"io"
	"strings"
)

// Annotations writes a line for each finding that counts, which GitHub shows beside the place in the change.
func (r *Report) Annotations(w io.Writer) {
	for i := range r.Findings {
		f := &r.Findings[i]
		if !f.Counts() {
			continue
		}
		text := f.Message
		if len(f.Witness) > 0 {
			text += "\nWay: " + strings.Join(f.Witness, " -> ")
		}
		fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", f.Severity, inProperty(uri(f.File)), f.Line, f.Col, inProperty(f.Code+" "+f.Title), inMessage(text+"\nFix: "+f.Fix))
	}
}

var message = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func inMessage(s string) string { return message.Replace(s) }

func inProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(inMessage(s))
}

// Summary writes a page of Markdown about a report: what has changed, where there is something to compare with, and only
// the rows that are new, changed or bad.
func (r *Report) Summary(w io.Writer, d *Difference) {
	fmt.Fprintf(w, "### %s\n\n", inCell(r.Headline))
	if d != nil {
		fmt.Fprintf(w, "%s\n\n", inCell(d.Headline))
		for _, line := range d.Lines {
			fmt.Fprintf(w, "- %s\n", inCell(line))
		}
		if len(d.Lines) > 0 {
			fmt.Fprintln(w)
		}
	}
	shown := func(f *Finding) bool { return f.Counts() && (d == nil || f.Severity == Error || d.isNew(f)) }
	head := false
	for i := range r.Findings {
		f := &r.Findings[i]
		if !shown(f) {
			continue
		}
		if !head {
			fmt.Fprint(w, "| | code | where | what | fix |\n|---|---|---|---|---|\n")
			head = true
		}
		fmt.Fprintf(w, "| %s | %s | `%s:%d` | %s | `%s` |\n", f.Severity, f.Code, inCell(uri(f.File)), f.Line, inCell(f.Message), inCell(strings.ReplaceAll(f.Fix, "`", "'")))
	}
	if head {
		fmt.Fprintln(w)
	}
}

func inCell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}
