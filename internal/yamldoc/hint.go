package yamldoc

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxKnown bounds what a hint is looked for in: a large plan full of mistakes must not take minutes to be refused.
const maxKnown = 1_000

// DidYouMean is the hint for a name that is not among those known: the nearest of them.
func DidYouMean(name string, known []string) string {
	if len(known) > maxKnown {
		return ""
	}
	if best := nearest(name, known); best != "" {
		return `did you mean "` + best + `"?`
	}
	return ""
}

// OneOf is [didYouMean] for small closed sets, which it lists when none is near.
func OneOf(name string, known []string) string {
	if hint := DidYouMean(name, known); hint != "" || len(known) > maxKnown {
		return hint
	}
	return Listed("one of: ", known)
}

// Listed is head and the names after it, sorted, at most a dozen; empty without names.
func Listed(head string, names []string) string {
	const most = 12
	if len(names) == 0 {
		return ""
	}
	names = slices.Sorted(slices.Values(names))
	if len(names) > most {
		names = append(names[:most:most], "...")
	}
	return head + strings.Join(names, ", ")
}

// nearest is the known name with the fewest typing mistakes to name, if that is close enough to be meant.
func nearest(name string, known []string) string {
	length := utf8.RuneCountInString(name)
	if length < 2 || length > 64 {
		return ""
	}
	best, least := "", max(1, length/3)+1
	for _, k := range known {
		if k == name {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the insertions, removals, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}

// Shorten cuts s for messages.
func Shorten(s string) string {
	const most = 120
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "..."
}
