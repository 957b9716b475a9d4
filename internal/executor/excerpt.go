package executor

import (
	"strings"
	"unicode/utf8"
)

// Head is the first n bytes of b as valid UTF-8, with … after them if there are more.
func Head(b []byte, n int) string {
	if len(b) <= n {
		return readable(b)
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return readable(b[:n]) + "…"
}

// Tail is the last n bytes of b as valid UTF-8, with … before them if there are more.
func Tail(b []byte, n int) string {
	if len(b) <= n {
		return readable(b)
	}
	from := len(b) - n
	for from < len(b) && !utf8.RuneStart(b[from]) {
		from++
	}
	return "…" + readable(b[from:])
}

func readable(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
