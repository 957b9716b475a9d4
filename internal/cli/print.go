package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"belay/internal/text"
)

// PrintJSON prints data for programs: one indented document, in which <, > and & are not escaped.
func (a *App) PrintJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Table prints a heading and rows in aligned columns.
func (a *App) Table(head []any, rows [][]any) error {
	w := tabwriter.NewWriter(a.Out, 0, 4, 2, ' ', 0)
	for _, r := range append([][]any{head}, rows...) {
		for i, c := range r {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// listWidth is the width of lists in columns: that of a terminal which nobody has widened.
const listWidth = 80

// List prints a table whose last column is cut to the width that the others leave.
func (a *App) List(head []any, rows [][]any) error { return a.ListCut(head, rows, text.Cut) }

// ListCut is [App.List] with its own way to cut the last column.
func (a *App) ListCut(head []any, rows [][]any, cut func(s string, n int) string) error {
	last := len(head) - 1
	room := listWidth
	for i := range last {
		widest := 0
		for _, r := range append([][]any{head}, rows...) {
			widest = max(widest, utf8.RuneCountInString(fmt.Sprint(r[i])))
		}
		room -= widest + 2
	}
	for _, r := range rows {
		r[last] = cut(fmt.Sprint(r[last]), max(room, 10))
	}
	return a.Table(head, rows)
}

// Ago says how long ago t was; beyond two days it is the date.
func Ago(t time.Time) string {
	d := Now().Sub(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return t.Local().Format("2006-01-02")
}
