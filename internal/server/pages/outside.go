package pages

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"belay/internal/text"
)

// piece is a part of outside text: plain text, or a mark in place of what the eye would miss.
type piece struct {
	Text  string
	Odd   string // what is odd about it, in words; empty for plain text
	Mixed bool   // Text is as it came, but may not be what it looks like
}

// pieces splits outside text into what can be shown as it is and what must be made visible: control and escape characters,
// characters that have no width or change the direction of text, and words that mix alphabets which look alike. Whoever
// reads a parameter before approving it must see all of it.
func pieces(s string) []piece {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if plainASCII(s) {
		return []piece{{Text: s}}
	}
	var p splitter
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			p.odd(fmt.Sprintf("⟪0x%02X⟫", s[0]), "a byte that is not text")
		} else {
			p.rune(r)
		}
		s = s[n:]
	}
	p.flush()
	return p.out
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// isPlain reports whether nothing in s has to be made visible.
func isPlain(s string) bool {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if plainASCII(s) {
		return true
	}
	var p splitter
	for _, r := range s {
		if p.rune(r); len(p.out) > 0 {
			return false // the rest makes no difference
		}
	}
	p.flush()
	return utf8.ValidString(s) && (len(p.out) == 0 || p.out[0].Odd == "")
}

// splitter collects pieces. It keeps the present word apart, because only its end shows whether it mixes alphabets.
type splitter struct {
	out  []piece
	text strings.Builder
	word []rune
}

func (p *splitter) rune(r rune) {
	switch {
	case r == '\n' || r == '\t':
		p.endWord()
		p.text.WriteRune(r)
	case text.Invisible(r):
		p.odd(visible(r), oddness(r))
	case unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r):
		p.word = append(p.word, r)
	default:
		p.endWord()
		p.text.WriteRune(r)
	}
}

func (p *splitter) endWord() {
	word := string(p.word)
	p.word = p.word[:0]
	if why := looksAlike(word); why != "" {
		p.odd(word, why)
		p.out[len(p.out)-1].Mixed = true
		return
	}
	p.text.WriteString(word)
}

func (p *splitter) odd(text, why string) {
	p.flush()
	p.out = append(p.out, piece{Text: text, Odd: why})
}

func (p *splitter) flush() {
	if len(p.word) > 0 {
		p.endWord()
	}
	if p.text.Len() > 0 {
		p.out = append(p.out, piece{Text: p.text.String()})
		p.text.Reset()
	}
}

// visible writes an invisible character as its code point. Unicode has pictures for some, but many phones lack the glyphs.
func visible(r rune) string {
	if r == 0x1B {
		return "⟪ESC⟫" // begins what a terminal would obey
	}
	return fmt.Sprintf("⟪U+%04X⟫", r)
}

func oddness(r rune) string {
	switch {
	case unicode.Is(unicode.Bidi_Control, r):
		return "changes the direction of text"
	case unicode.IsControl(r):
		return "a control character"
	}
	return "an invisible character"
}

// alike are the alphabets whose letters can pass for Latin ones.
var alike = []*unicode.RangeTable{unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Lisu}

// looksAlike says why a word may not be what it looks like; empty if it is.
func looksAlike(word string) string {
	latin, other := false, false
	for _, r := range word {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E, r >= 0x1D400 && r <= 0x1D7FF:
			return "letters that only look like the usual ones"
		case unicode.Is(unicode.Latin, r):
			latin = true
		case unicode.In(r, alike...):
			other = true
		}
	}
	if latin && other {
		return "a word of mixed alphabets"
	}
	return ""
}
