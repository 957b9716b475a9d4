package executor

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// view is a text with one layer of escapes taken off. Patterns read through one kind of escape by themselves; a view
// lets them see what was escaped in two ways, like a URL or a piece of HTML in a JSON string.
type view struct {
	text []byte
	from []int // where each byte of it, and its end, is in the whole; nil: in the same place
}

// origin is where the view's byte i comes from.
func (v view) origin(i int) int {
	if v.from == nil {
		return i
	}
	return v.from[i]
}

// viewsOf are the text itself and what is below each kind of escape that it has.
func viewsOf(b []byte) []view {
	all := []view{{text: b}}
	for _, mark := range []byte(escapes) {
		if bytes.IndexByte(b, mark) >= 0 {
			all = append(all, below(b, mark))
		}
	}
	return all
}

// below takes off the escapes that begin with mark.
func below(b []byte, mark byte) view {
	v := view{text: make([]byte, 0, len(b)), from: make([]int, 0, len(b)+1)}
	for i := 0; i < len(b); {
		r := reading{rawByte(b[i]), 1}
		if b[i] == mark && begun(b[i:]) {
			break // what it would be nobody knows
		}
		if b[i] == mark {
			r = unescaped(b[i:])
		}
		before := len(v.text)
		v.text = appendChar(v.text, r.char)
		for range len(v.text) - before {
			v.from = append(v.from, i)
		}
		i += r.size
	}
	v.from = append(v.from, len(b))
	return v
}

// begun reports whether b is only the first part of an escape.
func begun(b []byte) bool {
	switch {
	case b[0] == '%':
		return len(b) < 3
	case b[0] == '&':
		return len(b) < maxEscape && bytes.IndexByte(b, ';') < 0
	case len(b) < 2:
		return true
	}
	return b[1] == 'u' && len(b) < 6 || b[1] == 'x' && len(b) < 4
}

// unescaped reads the escape at the beginning of b as what wrote it would; what is none is one byte.
func unescaped(b []byte) reading {
	switch b[0] {
	case '%':
		if c, ok := hexValue(b[1:], 2); ok {
			return reading{rawByte(byte(c)), 3}
		}
	case '&':
		if all := entity(b, nil); len(all) > 0 {
			return all[0]
		}
	case '\\':
		return afterBackslash(b)
	}
	return reading{rawByte(b[0]), 1}
}

func afterBackslash(b []byte) reading {
	if len(b) < 2 {
		return reading{'\\', 1}
	}
	if c, ok := control(b[1]); ok {
		return reading{c, 2}
	}
	switch b[1] {
	case 'x':
		if c, ok := hexValue(b[2:], 2); ok {
			return reading{rawByte(byte(c)), 4}
		}
	case 'u':
		if r, ok := utf16Rune(b, b[:2]); ok {
			return r
		}
	}
	return reading{rawByte(b[1]), 2}
}

// appendChar writes a character, or the byte that [rawByte] stands for.
func appendChar(b []byte, c rune) []byte {
	if c > unicode.MaxRune {
		return append(b, byte(c-unicode.MaxRune-1))
	}
	return utf8.AppendRune(b, c)
}
