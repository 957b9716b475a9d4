package bus

import (
	"strconv"
	"strings"
)

// Oldest is the oldest server version that has everything that the streams need.
const Oldest = "2.15.0"

// Tried is the oldest server version that everything was tried with.
const Tried = "2.15.2"

// BeforeTried reports whether a server is older than [Tried].
func BeforeTried(version string) bool { return older(version, Tried) }

// older compares versions like 2.15.2; it returns false for one that it cannot read.
func older(v, least string) bool {
	a, ok := numbers(v)
	b, _ := numbers(least)
	for i := range a {
		if ok && a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func numbers(v string) (n [3]int, ok bool) {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "-")
	parts := strings.Split(v, ".")
	if len(parts) != len(n) {
		return n, false
	}
	for i, p := range parts {
		x, err := strconv.Atoi(p)
		if err != nil {
			return n, false
		}
		n[i] = x
	}
	return n, true
}
