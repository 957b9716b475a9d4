package steps

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// SamePerson reports whether two names are one person's: they are when they differ only in case, in width or in what
// cannot be seen, as blanks around them. Else somebody could be two people by writing their name in another way.
func SamePerson(a, b string) bool { return a == b || Person(a) == Person(b) }

// Person is the same for all the ways in which one person's name is written; empty for nobody's.
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

// person is whom a name stands for in this run. Before epoch 2 every other way to write it was another person.
func (s *State) person(name string) string {
	if !s.since(2) {
		return name
	}
	return Person(name)
}
