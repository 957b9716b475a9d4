package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printJSON writes data for programs: one document, indented, nothing escaped that need not be.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows under a heading, aligned.
func (a *app) table(head []any, rows [][]any) error {
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

// listWidth is how wide lists are: a terminal that nobody has widened.
const listWidth = 80

// list prints a table whose last column gets what the others leave of the width.
func (a *app) list(head []any, rows [][]any) error { return a.listCut(head, rows, cut) }

// listCut is list with another way to cut the last column.
func (a *app) listCut(head []any, rows [][]any, cut func(s string, n int) string) error {
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
	return a.table(head, rows)
}

// ago is a time as people say it.
func ago(t time.Time) string {
	d := time.Since(t)
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

// cut shortens text for a column.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// cutFront shortens an id for a column: its end finds it.
func cutFront(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return "…" + string(r[len(r)-n+1:])
}

// cutMiddle shortens what a tool had to say: most of it is in the last lines of a program, the rest in the first of a page.
func cutMiddle(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n/3]) + " … " + string(r[len(r)-n*2/3:])
}

// typed is an id as lists show it, perhaps copied with the mark of what was cut off.
func typed(id string) string { return strings.TrimPrefix(id, "…") }

// plain makes text from outside harmless on a terminal: no control or escape sequences, no invisible direction marks.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// plainJSON is a document that is harmless on a terminal and still the same document: what plain would replace is
// written as JSON escapes it.
func plainJSON(doc json.RawMessage) string {
	var b strings.Builder
	for _, r := range string(doc) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
