package pages

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"belay/internal/text"
)

// quote writes text as JSON, and escapes only what it must.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // text is always JSON
	return bytes.TrimRight(b.Bytes(), "\n")
}

// value is JSON as a page shows it: an object as a table of its members, with the whole document folded below.
type value struct {
	Rows  []row
	Whole string // indented; empty if it is null or absent
	Long  bool   // too long to be shown unfolded
	Empty bool   // null, {} or nothing
	Cut   bool   // less than all of it is shown
	More  string // path of the whole value; empty = there is none
}

// row is one member. Text is what a person reads; Kind says what it is in JSON if the text alone does not.
type row struct {
	Name string
	Text string
	Kind string // "text" when text looks like something else; "json" for nested values
}

// Long reports whether a value is too long to be shown unfolded.
func (r row) Long() bool { return len(r.Text) > 800 || strings.Count(r.Text, "\n") >= openLines }

// Brief is the beginning of a long value, and its length.
func (r row) Brief() string {
	return cut(strings.Join(strings.Fields(r.Text), " "), 80) + " (" + count(utf8.RuneCountInString(r.Text), "character", "characters") + ")"
}

// openLines is how many lines of JSON are shown unfolded.
const openLines = 12

// shown makes the view of a JSON value; more is the path of the whole value, in case the page has no room for it.
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

// row shows one member, as much of it as there is room for.
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

// rowOf shows a member; its text may be a little longer than the page has room for.
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

// ambiguous returns "text" for a string that a reader would take for a number, a boolean, null or nothing.
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
	return text.Cut(s, n)
}

// squeeze removes the space between tokens; what is not JSON is returned unchanged.
func squeeze(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// ascii escapes the invisible characters of a JSON document. It stays the same document, and a form shows all of it.
func ascii(doc string) string {
	if isPlain(doc) {
		return doc
	}
	return text.JSON(doc)
}
