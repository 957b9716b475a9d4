package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"belay/internal/outside"
)

// quote writes text as JSON, with nothing escaped that need not be.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // text is always JSON
	return bytes.TrimRight(b.Bytes(), "\n")
}

// value is JSON as a page shows it: an object as a table of its members, and the whole document folded below.
type value struct {
	Rows  []row
	Whole string // indented; empty when it is null or not there
	Long  bool   // too long to stand open
	Empty bool   // null, {} or nothing
	Cut   bool   // less than all of it is shown
	More  string // path of all of it; empty = nowhere
}

// row is one member. Text is what a person reads; Kind says what it is in JSON where the text alone does not.
type row struct {
	Name string
	Text string
	Kind string // "text" when text looks like something else; "json" for nested values
}

// Long reports whether a value is too long to stand open. All of it is one press away.
func (r row) Long() bool { return len(r.Text) > 800 || strings.Count(r.Text, "\n") >= openLines }

// Brief is the beginning of a long value, and how much there is.
func (r row) Brief() string {
	return cut(strings.Join(strings.Fields(r.Text), " "), 80) + " (" + count(utf8.RuneCountInString(r.Text), "character", "characters") + ")"
}

// openLines is how many lines of JSON stand open.
const openLines = 12

// shown makes the view of a JSON value. More is where all of it is, should the page have no room for that.
func (r *room) shown(raw json.RawMessage, more string) value {
	if r.left <= 0 && len(raw) > len("null") {
		return value{Cut: true, More: more}
	}
	text, cut := indented(raw, min(valueRoom, r.left))
	v := value{Whole: ascii(text), Cut: cut, More: more}
	r.left -= len(v.Whole)
	v.Empty = !cut && slices.Contains([]string{"", "null", "{}"}, strings.TrimSpace(v.Whole))
	v.Long = strings.Count(v.Whole, "\n") >= openLines || len(v.Whole) > 2000
	list, rest, err := firstMembers(raw, maxRows)
	if err != nil {
		return v
	}
	v.Cut = v.Cut || rest > 0
	for _, m := range list {
		w, cut := r.row(m)
		v.Rows, v.Cut = append(v.Rows, w), v.Cut || cut
		if r.left <= 0 {
			break
		}
	}
	return v
}

// row is one member, as much of it as there is room for.
func (r *room) row(m member) (w row, cut bool) {
	w, cut = rowOf(m)
	text, more := r.take(w.Text, textRoom)
	if name, long := r.take(w.Name, textRoom); long {
		w.Name, more = name+"…", true
	}
	if cut || len(text) < len(w.Text) {
		w.Text = text + "…"
	}
	return w, cut || more
}

// rowOf is a member whose text may be longer than a page has room for, but not much.
func rowOf(m member) (w row, cut bool) {
	if first := m.Value[0]; first == '{' || first == '[' || len(m.Value) > hardText {
		text, cut := indented(m.Value, textRoom)
		return row{m.Name, text, "json"}, cut
	}
	var s string
	if m.Value[0] == '"' && json.Unmarshal(m.Value, &s) == nil {
		return row{m.Name, s, ambiguous(s)}, false
	}
	return row{m.Name, string(m.Value), ""}, false
}

// ambiguous is "text" for a text that a reader would take for a number, a truth value, null or nothing.
func ambiguous(s string) string {
	if strings.TrimSpace(s) == "" || strings.TrimSpace(s) != s || json.Valid([]byte(s)) {
		return "text"
	}
	return ""
}

// Brief is the whole value on one line, cut.
func (v value) Brief() string {
	if len(v.Rows) == 0 {
		return cut(strings.Join(strings.Fields(v.Whole), " "), 120)
	}
	var parts []string
	for _, r := range v.Rows {
		parts = append(parts, r.Name+" "+strings.Join(strings.Fields(r.Text), " "))
	}
	return cut(strings.Join(parts, " · "), 120)
}

// cut shortens text for a line of a list.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// squeeze takes the space between tokens away; what is no JSON comes back unchanged.
func squeeze(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// ascii writes what cannot be seen in a JSON document as JSON escapes it. It is the same document then, and a form
// shows all of it.
func ascii(doc string) string {
	if isPlain(doc) {
		return doc
	}
	var b strings.Builder
	for _, r := range doc {
		switch {
		case !outside.Invisible(r) || r == '\n' || r == '\t':
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
