package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a flag of so many bytes, written like 4GiB, 512MiB or 1000000.
type Size int64

// units are those of sizes, the longer names first.
var units = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1}, {"", 1},
}

// Set reads a size; none is 0.
func (s *Size) Set(text string) error {
	if text == "" {
		*s = 0
		return nil
	}
	digits := strings.TrimRight(text, "KMGTkiB ")
	unit := strings.TrimSpace(text[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	for _, u := range units {
		if err == nil && n >= 0 && u.name == unit && n <= math.MaxInt64/u.bytes {
			*s = Size(n * u.bytes)
			return nil
		}
	}
	return fmt.Errorf("%q is not a size like 4GiB, 512MiB or a number of bytes", text)
}

// String writes a size in the largest unit that leaves no rest.
func (s *Size) String() string {
	if *s == 0 {
		return ""
	}
	for _, u := range []int{3, 2, 1, 0} { // the binary units
		if int64(*s)%(units[u].bytes) == 0 {
			return strconv.FormatInt(int64(*s)/units[u].bytes, 10) + units[u].name
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Type is what help and schemas call it.
func (s *Size) Type() string { return "size" }
