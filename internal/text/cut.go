package text

import (
	"unicode/utf8"
)

// Cut shortens s to at most most characters, the last of them "…", where it is longer.
func Cut(s string, most int) string {
	if fits(s, most) {
		return s
	}
	r := []rune(s)
	return string(r[:most-1]) + "…"
}

// CutFront shortens s at its front: the end of an id finds it.
func CutFront(s string, most int) string {
	if fits(s, most) {
		return s
	}
	r := []rune(s)
	return "…" + string(r[len(r)-most+1:])
}

// CutMiddle keeps a third of most characters at the front of s and two thirds at its end: a program says what matters in
// its last lines, a page in its first.
func CutMiddle(s string, most int) string {
	if fits(s, most) {
		return s
	}
	r := []rune(s)
	return string(r[:most/3]) + " … " + string(r[len(r)-most*2/3:])
}

func fits(s string, most int) bool { return len(s) <= most || utf8.RuneCountInString(s) <= most }

// Bounded is the front of s in at most most bytes, cut between characters. It is for texts of any length, before
// anything that takes time for every byte.
func Bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
