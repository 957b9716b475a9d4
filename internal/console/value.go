package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"belay/internal/outside"
)

// member is one member of a JSON object, its value as written.
type member struct {
	Name  string
	Value json.RawMessage
}

// members reads the top level of a JSON object in the order in which it is written. A name that comes twice is there
// twice: programs do not agree on which one counts, so people should see both.
func members(raw json.RawMessage) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errNoObject, err)
	}
	var list []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read a member: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("read %v: %w", name, err)
		}
		list = append(list, member{name.(string), value})
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("read the end of an object: %w", err)
	}
	return list, nil
}

var errNoObject = errors.New("not a JSON object")

// object writes members as one JSON object.
func object(list []member) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(m.Name))
		b.WriteByte(':')
		b.Write(m.Value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote writes text as JSON, with nothing escaped that need not be.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // text is always JSON
	return bytes.TrimRight(b.Bytes(), "\n")
}

// pretty indents JSON and leaves every token as it is written. What is no JSON comes back unchanged.
func pretty(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// value is JSON as a page shows it: an object as a table of its members, and the whole document folded below.
type value struct {
	Rows  []row
	Whole string // indented; empty when it is null or not there
	Long  bool   // too long to stand open
	Empty bool   // null, {} or nothing
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

// shown makes the view of a JSON value.
func shown(raw json.RawMessage) value {
	v := value{Whole: ascii(pretty(raw))}
	v.Empty = slices.Contains([]string{"", "null", "{}"}, strings.TrimSpace(v.Whole))
	v.Long = strings.Count(v.Whole, "\n") >= openLines || len(v.Whole) > 2000
	list, err := members(raw)
	if err != nil {
		return v
	}
	for _, m := range list {
		v.Rows = append(v.Rows, rowOf(m))
	}
	return v
}

func rowOf(m member) row {
	text := string(m.Value)
	switch text[0] {
	case '"':
		var s string
		if json.Unmarshal(m.Value, &s) != nil {
			return row{m.Name, text, "json"}
		}
		return row{m.Name, s, ambiguous(s)}
	case '{', '[':
		return row{m.Name, pretty(m.Value), "json"}
	}
	return row{m.Name, text, ""}
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
