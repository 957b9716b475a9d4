package exactjson

import (
	"bytes"
	"encoding/json"
)

// walk goes through a body once, along with the type that it is read into. Whether the body is JSON is found out by
// encoding/json, which reads it afterwards: what is not may be taken for anything here.
type walk struct {
	b     []byte
	i     int
	alike []span // keys that only look like known ones
	err   error
}

// span is a key's bytes between its quotes.
type span struct{ from, to int }

func (w *walk) value(s *shape) {
	w.space()
	switch {
	case w.i >= len(w.b):
	case s.kind == opaque:
		w.skip()
	case w.b[w.i] == '{' && s.kind != list:
		w.object(s)
	case w.b[w.i] == '[' && (s.kind == list || s == whatever):
		w.list(s.elem)
	default:
		w.skip() // of another type than it should be
	}
}

func (w *walk) list(s *shape) {
	for w.i++; w.more(']'); {
		w.value(s)
	}
}

func (w *walk) object(s *shape) {
	keys := seen{order: s.names}
	for w.i++; w.more('}'); {
		key, name := w.key()
		place := keys.place(name)
		elem := s.elem
		switch {
		case place == twice:
			w.fail(errTwice(string(name)))
		case place != unknown:
			elem = s.fields[place]
		case s.kind == structure:
			elem = raw
			if s.folds(name) {
				w.alike = append(w.alike, key)
			}
		}
		w.space()
		w.i++ // the colon
		w.value(elem)
	}
}

// more goes to the next member of an object or a list; false behind its end.
func (w *walk) more(end byte) bool {
	w.space()
	if w.i < len(w.b) && w.b[w.i] == ',' {
		w.i++
		w.space()
	}
	if w.i >= len(w.b) {
		return false
	}
	switch c := w.b[w.i]; {
	case c == end:
		w.i++
		return false
	case c == '}' || c == ']' || c == ':' || end == '}' && c != '"': // it is not JSON
		w.i = len(w.b)
		return false
	}
	return true
}

// fail ends the walk.
func (w *walk) fail(err error) { w.err, w.i = err, len(w.b) }

func (w *walk) space() {
	for w.i < len(w.b) && w.b[w.i] <= ' ' {
		w.i++
	}
}

// key goes past a string that is a key; name is what its reader gets.
func (w *walk) key() (key span, name []byte) {
	from := w.i + 1
	for i := from; i < len(w.b); i++ {
		switch c := w.b[i]; {
		case c == '"':
			w.i = i + 1
			return span{from, i}, w.b[from:i]
		case c == '\\' || c >= 0x80:
			return w.spelled()
		}
	}
	w.i = len(w.b) // it is not JSON
	return key, nil
}

// spelled is key for one that is not plain.
func (w *walk) spelled() (key span, name []byte) {
	from := w.i
	w.text()
	var text string
	if json.Unmarshal(w.b[from:w.i], &text) != nil {
		w.i = len(w.b) // it is not JSON
		return key, nil
	}
	return span{from + 1, w.i - 1}, []byte(text)
}

// text goes past a string.
func (w *walk) text() {
	for w.i++; w.i < len(w.b); {
		n := bytes.IndexByte(w.b[w.i:], '"')
		if n < 0 {
			break
		}
		from := w.i
		w.i += n + 1
		if !escaped(w.b[from : from+n]) {
			return
		}
	}
	w.i = len(w.b)
}

// escaped reports whether what follows a text is escaped by it: after an odd number of backslashes.
func escaped(b []byte) bool {
	n := len(b)
	for n > 0 && b[n-1] == '\\' {
		n--
	}
	return (len(b)-n)%2 == 1
}

// skip goes past a value without looking at what is in it.
func (w *walk) skip() {
	for depth := 0; w.i < len(w.b); {
		switch w.b[w.i] {
		case '"':
			w.text()
		case '{', '[':
			depth++
			w.i++
		case '}', ']':
			if depth == 0 {
				return // the end of what the value is in
			}
			depth--
			w.i++
		case ',':
			if depth == 0 {
				return
			}
			w.i++
		default:
			w.i++
			continue // within a number, a word or space
		}
		if depth == 0 {
			return
		}
	}
}
