package pages

import (
	"bytes"
	"encoding/json"
	"html"
	"html/template"
	"strings"
	"unicode/utf8"

	"belay/internal/steps"
)

// How much outside text a page shows. A person reads a screen or two; what is cut is marked, and one press shows all of
// it. A character may take a hundred bytes once it is marked as odd and written as HTML.
const (
	pageRoom  = 128 << 10 // of all values together
	valueRoom = 32 << 10  // of one value
	textRoom  = 8 << 10   // of one member of a value, or one message
	hardText  = 64 << 10  // of any other text
	maxRows   = 200       // members of one value
	maxLines  = 200       // of any list on a page
)

// room counts how many bytes of outside text a page still has room for.
type room struct{ left int }

func newRoom() *room { return &room{pageRoom} }

// take returns as much of a text as there is room for, and whether that is less than all.
func (r *room) take(s string, most int) (text string, cut bool) {
	text = beginning(s, min(most, r.left))
	r.left -= len(text)
	return text, len(text) < len(s)
}

// said returns a message as a page shows it; if it is cut, it ends with a mark.
func (r *room) said(s string) string {
	text, cut := r.take(s, textRoom)
	if cut {
		text += "…"
	}
	return text
}

// beginning returns at most so many bytes of s, in whole characters.
func beginning(s string, most int) string {
	if len(s) <= most {
		return s
	}
	most = max(most, 0)
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// lastOf returns the last entries of a list that a page has room for, and how many come before them.
func lastOf[T any](list []T) (last []T, hidden int) {
	hidden = max(0, len(list)-maxLines)
	return list[hidden:], hidden
}

// marked writes outside text as HTML: escaped, with marks for what the eye would miss (see [pieces]), and never more than a
// page can hold.
func marked(s string) template.HTML {
	text := beginning(s, hardText)
	var b strings.Builder
	for _, p := range pieces(text) {
		if p.Odd == "" {
			b.WriteString(html.EscapeString(p.Text))
			continue
		}
		b.WriteString(`<mark class="odd`)
		if p.Mixed {
			b.WriteString(" mixed")
		}
		b.WriteString(`" title="` + html.EscapeString(p.Odd) + `">` + html.EscapeString(p.Text) + `</mark>`)
	}
	if len(text) < len(s) {
		b.WriteString(`<mark class="odd" title="the rest does not fit on a page">… ` + bytesMore(len(s)-len(text)) + `</mark>`)
	}
	return template.HTML(b.String()) //nolint:gosec // every part is escaped above
}

func bytesMore(n int) string { return count(n, "byte more", "bytes more") }

// steepest is how many times longer indentation may make a document that must not be cut.
const steepest = 4

// editable returns JSON for a form: indented unless that makes it many times longer, and never cut.
func editable(raw json.RawMessage) string {
	text, cut := indented(raw, len(raw)*steepest+textRoom)
	if cut {
		text = string(raw)
	}
	return ascii(text)
}

// indented returns the beginning of a JSON document with a line for each value, and whether that is less than all of it.
// It stops when the room is used up, so that it costs no more than what is shown.
func indented(raw json.RawMessage, most int) (text string, cut bool) {
	if !sound(raw) {
		text = beginning(string(raw), most)
		return text, len(text) < len(raw)
	}
	p := printer{raw: bytes.TrimSpace(raw), most: most}
	for p.at < len(p.raw) && p.out.Len() <= most {
		p.token()
	}
	text = beginning(p.out.String(), most)
	return text, p.at < len(p.raw) || len(text) < p.out.Len()
}

// sound reports whether raw can be shown with a line for each value. JSON in old logs, from before nesting was limited, is
// shown as it is written.
func sound(raw json.RawMessage) bool { return steps.Depth(raw) <= 2*steps.MaxDepth && json.Valid(raw) }

// printer writes sound JSON token by token.
type printer struct {
	raw   []byte
	most  int // in bytes; nothing is written after it
	at    int
	depth int
	out   strings.Builder
}

func (p *printer) token() {
	c := p.raw[p.at]
	switch c {
	case ' ', '\n', '\t', '\r':
		p.at++
	case '{', '[':
		p.open(c)
	case '}', ']':
		p.depth--
		p.line()
		p.byte(c)
	case ',':
		p.byte(c)
		p.line()
	case ':':
		p.byte(c)
		p.out.WriteByte(' ')
	case '"':
		p.until(endOfString(p.raw, p.at) + 1)
	default:
		p.until(endOfValue(p.raw, p.at))
	}
}

// open writes the beginning of a list or an object; an empty one ends on the same line.
func (p *printer) open(c byte) {
	p.byte(c)
	if next := skipSpace(p.raw, p.at); p.raw[next] == '}' || p.raw[next] == ']' {
		p.at = next
		p.byte(p.raw[next])
		return
	}
	p.depth++
	p.line()
}

func (p *printer) byte(c byte) {
	p.out.WriteByte(c)
	p.at++
}

// until writes everything before end, or as much of it as there is room for.
func (p *printer) until(end int) {
	end = min(end, p.at+max(p.most-p.out.Len(), 0)+1)
	p.out.Write(p.raw[p.at:end])
	p.at = end
}

func (p *printer) line() {
	p.out.WriteByte('\n')
	for range p.depth {
		p.out.WriteString("  ")
	}
}

// firstOf returns as many entries of a list as a page has room for.
func firstOf[T any](list []T) []T { return list[:min(maxLines, len(list))] }
