package executor

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// reading is one way to read what a text begins with as one character.
type reading struct {
	char rune
	size int // bytes of the text
}

const (
	maxReadings = 12 // of one character
	maxPlaces   = 12 // that are followed at once; more are only reached in rows of backslashes
	maxEscape   = 16 // bytes of the longest escape that is looked for at a cut
)

// escapes are the bytes that escapes begin with: in URLs, in JSON and source code, in HTML.
const escapes = byteSet(`%\&`)

type byteSet string

func (s byteSet) has(c byte) bool { return strings.IndexByte(string(s), c) >= 0 }

// rawByte stands for a byte that is not UTF-8, or for an ASCII character.
func rawByte(c byte) rune {
	if c < utf8.RuneSelf {
		return rune(c)
	}
	return unicode.MaxRune + 1 + rune(c)
}

// runesOf are the characters of a text, including bytes that are not UTF-8.
func runesOf(s string) []rune {
	var all []rune
	for len(s) > 0 {
		r := decodeRune([]byte(s))
		all = append(all, r.char)
		s = s[r.size:]
	}
	return all
}

func decodeRune(b []byte) reading {
	r, size := utf8.DecodeRune(b)
	if r == utf8.RuneError && size == 1 {
		return reading{rawByte(b[0]), 1}
	}
	return reading{r, size}
}

// readingsOf appends all ways to read the first character of b, which is not empty: as it is, and as an escape.
func readingsOf(b []byte, all []reading) []reading {
	all = append(all, decodeRune(b))
	switch b[0] {
	case '+':
		return append(all, reading{' ', 1}) // in a query
	case '%':
		return percents(b, all)
	case '\\':
		return backslashes(b, all)
	case '&':
		return entity(b, all)
	}
	return all
}

// percents reads %41, and %2541 where that was percent-encoded once more.
func percents(b []byte, all []reading) []reading {
	for skip := 1; skip <= 5; skip += 2 {
		mark := b[:skip] // %, %25, %2525
		if r, ok := encodedRune(b, mark); ok {
			all = append(all, r)
		}
		if len(b) < skip+2 || string(b[skip:skip+2]) != "25" {
			break
		}
	}
	return all
}

// encodedRune reads a character whose bytes each come as two hex digits with a mark before.
func encodedRune(b, mark []byte) (reading, bool) {
	var raw [utf8.UTFMax]byte
	n := 0
	for n < len(raw) && bytes.HasPrefix(b[n*(len(mark)+2):], mark) {
		c, ok := hexValue(b[n*(len(mark)+2)+len(mark):], 2)
		if !ok {
			break
		}
		raw[n] = byte(c)
		if n++; raw[0] < utf8.RuneSelf {
			break
		}
	}
	if n == 0 {
		return reading{}, false
	}
	r := decodeRune(raw[:n])
	return reading{r.char, r.size * (len(mark) + 2)}, true
}

// backslashes reads \n, \/, \u0041, \x41 and the like. A text that was put into JSON twice has more of them.
func backslashes(b []byte, all []reading) []reading {
	n := 0
	for n < len(b) && n < maxEscape/2 && b[n] == '\\' {
		n++
	}
	for _, size := range []int{2, 4} {
		if n >= size {
			all = append(all, reading{'\\', size})
		}
	}
	if n == len(b) {
		return all
	}
	next := decodeRune(b[n:])
	all = append(all, reading{next.char, n + next.size})
	if c, ok := control(b[n]); ok {
		return append(all, reading{c, n + 1})
	}
	switch next.char {
	case 'x':
		if r, ok := encodedRune(b, b[:n+1]); ok {
			all = append(all, r)
		}
	case 'u':
		if r, ok := utf16Rune(b, b[:n+1]); ok {
			all = append(all, r)
		}
	}
	return all
}

// control is the character that is written as a letter after a backslash.
func control(escaped byte) (rune, bool) {
	i := strings.IndexByte("nrtbf", escaped)
	if i < 0 {
		return 0, false
	}
	return rune("\n\r\t\b\f"[i]), true
}

// utf16Rune reads a character as one \u0041 or two of them; mark is what is before the digits.
func utf16Rune(b, mark []byte) (reading, bool) {
	size := len(mark) + 4
	high, ok := hexValue(b[len(mark):], 4)
	if !ok {
		return reading{}, false
	}
	if utf16.IsSurrogate(high) && len(b) > size && bytes.HasPrefix(b[size:], mark) {
		if low, ok := hexValue(b[size+len(mark):], 4); ok {
			return reading{utf16.DecodeRune(high, low), 2 * size}, true
		}
	}
	return reading{high, size}, true
}

// entity reads &amp;, &#38; and &#x26;.
func entity(b []byte, all []reading) []reading {
	end := bytes.IndexByte(b[:min(len(b), maxEscape)], ';')
	if end < 3 {
		return all
	}
	name := string(b[1:end])
	if i := slices.Index([]string{"amp", "lt", "gt", "quot", "apos"}, name); i >= 0 {
		return append(all, reading{rune("&<>\"'"[i]), end + 1})
	}
	base := 10
	digits, numeric := strings.CutPrefix(name, "#")
	if strings.HasPrefix(digits, "x") || strings.HasPrefix(digits, "X") {
		digits, base = digits[1:], 16
	}
	if n, err := strconv.ParseUint(digits, base, 21); numeric && err == nil {
		all = append(all, reading{rune(n), end + 1})
	}
	return all
}

// hexValue reads n hex digits.
func hexValue(b []byte, n int) (rune, bool) {
	if len(b) < n {
		return 0, false
	}
	v := rune(0)
	for _, c := range b[:n] {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			v = v<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// lineBreak is the length of the line breaks that b begins with, as they are or escaped.
func lineBreak(b []byte) int {
	n := 0
	for n < len(b) {
		switch {
		case b[n] == '\n' || b[n] == '\r':
			n++
			continue
		case b[n] != '\\':
			return n
		}
		k := n
		for k < len(b) && b[k] == '\\' {
			k++
		}
		if k == len(b) || b[k] != 'n' && b[k] != 'r' {
			return n
		}
		n = k + 1
	}
	return n
}

// endsInEscape reports whether b may be the first part of an escape.
func endsInEscape(b []byte) bool {
	return len(b) > 0 && len(b) < maxEscape && escapes.has(b[0])
}
