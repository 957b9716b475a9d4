package bus

import (
	"strconv"
	"strings"
)

// oldest is the lowest server version that has what the streams need.
const oldest = "2.15.0"

// older compares versions like 2.15.2; one that cannot be read is not refused.
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
