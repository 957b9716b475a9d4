package executor

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"unicode"
	"unicode/utf8"
)

// pattern finds one form of one secret, however its characters are escaped.
type pattern struct {
	form  form
	want  []rune // bytes that are not UTF-8 as [rawByte] makes them
	shown string
	first [256]bool // bytes that a match may begin with

	before, after bool // base64: the character before, or after, holds a part of the secret too
}

// form is how a secret is written.
type form int

const (
	asItIs form = iota
	inHex
	inBase64
)

// match is what a pattern has found.
type match struct {
	end  int
	half bool // the text ended before the secret did
}

// patternsOf are the patterns of one secret. Base64 writes three bytes as four characters, so how a secret looks in it
// depends on how many bytes are before it.
func patternsOf(secret, shown string) []*pattern {
	all := []*pattern{
		newPattern(asItIs, runesOf(secret), shown),
		newPattern(inHex, runesOf(hex.EncodeToString([]byte(secret))), shown),
	}
	for before := range 3 {
		bits := 8 * (before + len(secret))
		from := (8*before + 5) / 6 // characters before it hold bits of others
		coded := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:before] + secret))
		p := newPattern(inBase64, runesOf(coded[from:bits/6]), shown)
		p.before, p.after = before > 0, bits%6 != 0
		all = append(all, p)
	}
	return all
}

func newPattern(f form, want []rune, shown string) *pattern {
	p := &pattern{form: f, want: want, shown: shown}
	for c := range 256 {
		p.first[c] = p.is(rawByte(byte(c)), want[0])
	}
	for _, c := range escapes {
		p.first[c] = true
	}
	if want[0] >= utf8.RuneSelf && want[0] <= unicode.MaxRune {
		p.first[utf8.AppendRune(nil, want[0])[0]] = true
	}
	p.first['+'] = p.first['+'] || want[0] == ' '
	return p
}

// is compares a character of a text with one of the pattern.
func (p *pattern) is(have, want rune) bool {
	switch {
	case have == want:
		return true
	case p.form == inHex:
		return have >= 'A' && have <= 'F' && have+'a'-'A' == want
	case p.form == inBase64:
		return have == '-' && want == '+' || have == '_' && want == '/'
	}
	return false
}

// match tries the pattern at i. A character may be read in several ways, so several places are followed at once. With
// cut, a text that ends within the pattern matches it by half.
func (p *pattern) match(b []byte, i int, cut bool) (match, bool) {
	return p.matchFrom(b, i, 0, cut)
}

// matchFrom is match for the pattern from its k-th character on.
func (p *pattern) matchFrom(b []byte, i, k int, cut bool) (match, bool) {
	var one, two [maxPlaces]int
	at, next := append(one[:0], i), two[:0]
	for ; k < len(p.want); k++ {
		next = next[:0]
		for _, pos := range at {
			if k > 0 {
				pos += p.gap(b[pos:], k)
			}
			next = p.step(b, pos, p.want[k], next)
			if cut && (pos == len(b) || len(next) == 0 && endsInEscape(b[pos:])) {
				return match{len(b), true}, true
			}
		}
		if len(next) == 0 {
			return match{}, false
		}
		at, next = next, at
	}
	end := at[0]
	for _, pos := range at {
		end = max(end, pos)
	}
	return match{end: p.end(b, end)}, true
}

// step adds to next where b goes on after the character want.
func (p *pattern) step(b []byte, pos int, want rune, next []int) []int {
	if pos >= len(b) {
		return next
	}
	if c := b[pos]; c < utf8.RuneSelf && !escapes.has(c) && c != '+' { // nearly always
		if p.is(rune(c), want) {
			next = add(next, pos+1)
		}
		return next
	}
	var readings [maxReadings]reading
	for _, r := range readingsOf(b[pos:], readings[:0]) {
		if p.is(r.char, want) {
			next = add(next, pos+r.size)
		}
	}
	return next
}

func add(all []int, pos int) []int {
	if slices.Contains(all, pos) || len(all) == maxPlaces {
		return all
	}
	return append(all, pos)
}

// gap is how much of b only makes it readable: line breaks within hex and base64, and what is between bytes in hex.
func (p *pattern) gap(b []byte, k int) int {
	if p.form == asItIs {
		return 0
	}
	n := lineBreak(b)
	if p.form == inHex && n == 0 && k%2 == 0 && len(b) > 0 && (b[0] == ' ' || b[0] == ':' || b[0] == '-') {
		return 1
	}
	return n
}

// begin is where the match at i begins, with the character before it that holds a part of it.
func (p *pattern) begin(b []byte, i int) int {
	if p.before && i > 0 && base64Char(b[i-1]) {
		return i - 1
	}
	return i
}

// end is where a match ends, with the character that holds the rest of it, and the padding.
func (p *pattern) end(b []byte, i int) int {
	if p.form != inBase64 {
		return i
	}
	if n := lineBreak(b[i:]); p.after && i+n < len(b) && base64Char(b[i+n]) {
		i += n + 1
	}
	for {
		padded := p.step(b, i+lineBreak(b[i:]), '=', nil)
		if len(padded) == 0 {
			return i
		}
		i = padded[0]
	}
}

func base64Char(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

// rest is how much of the beginning of b is the end of the pattern. The cut may have been within an escape.
func (p *pattern) rest(b []byte) int {
	end := 0
	for from := range min(maxEscape, len(b)) {
		for k := 1; k < len(p.want); k++ {
			if m, ok := p.matchFrom(b, from, k, false); ok {
				end = max(end, m.end)
				break // from a later character on it is shorter
			}
		}
	}
	return end
}
