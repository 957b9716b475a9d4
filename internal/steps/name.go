package steps

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// SamePerson reports whether two names belong to one person: they do when they differ only in case, in width, in
// surrounding blanks or in characters that nobody sees. Otherwise one person could approve twice under two spellings.
func SamePerson(a, b string) bool { return a == b || Person(a) == Person(b) }

// Person is the same for all spellings of one person's name, and empty for a name that says nobody.
func Person(name string) string {
	folded := strings.Map(folded, norm.NFKC.String(name))
	return strings.TrimSpace(norm.NFKC.String(folded))
}

// folded is the first of all runes that differ from r only in case; less than 0 for one that only formats.
func folded(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	first := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		first = min(first, f)
	}
	return first
}

// Person is whom a name stands for in this run. Before epoch 2 every other spelling was another person.
func (s *State) Person(name string) string {
	if !s.since(2) {
		return name
	}
	return Person(name)
}
