// Package outside judges the characters of texts that come from outside: what models, tools and strangers write, and
// people are shown before they decide. How a page or a message marks them is its own business.
package outside

import "unicode"

// Invisible reports whether a reader would not see r, or see something else because of it: control and formatting
// characters, what turns the direction of writing, blanks that pass for letters, and what Unicode has not assigned.
func Invisible(r rune) bool {
	switch {
	case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
		return true
	case r == 0xFE0E || r == 0xFE0F: // how a sign is drawn, as text or in colour
		return false
	case unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return true
	case r == 0x2800: // a letter of Braille that is blank
		return true
	}
	return !unicode.IsGraphic(r)
}
