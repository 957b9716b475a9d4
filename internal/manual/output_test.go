package manual_test

import (
	"fmt"
	"regexp"
	"strings"
)

// executing is a line of progress that a slow machine prints more often.
var executing = regexp.MustCompile(`^ *▸ .* running on `)

// slow is a line in which the embedded server says that the machine is.
var slow = regexp.MustCompile(` WRN nats-server: .*processing time: `)

var color = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// printed are the lines of an output, as a reader compares them: without what the go command says the first time on a
// machine, without that a call is being executed, which is told only where it takes long, and without that the machine is slow.
func printed(text string) []string {
	text = strings.TrimRight(color.ReplaceAllString(text, ""), " \n\t\r")
	if text == "" {
		return nil
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "go: downloading ") && !executing.MatchString(line) && !slow.MatchString(line) {
			lines = append(lines, strings.TrimRight(line, " \t\r"))
		}
	}
	return lines
}

// differs says where an output is not what the page shows, as a line of the page's block from 1; empty if it is.
func differs(want, got []string) (at int, how string) {
	reached := 0
	if fits(want, got, 0, &reached) {
		return 0, ""
	}
	at = reached
	switch {
	case at >= len(want):
		return len(want), fmt.Sprintf("more was printed than the page shows:\n%s", indented(got))
	default:
		return at + 1, fmt.Sprintf("the page shows\n    %s\nprinted was\n%s", want[at], indented(got))
	}
}

// fits compares lines; reached is the furthest line of want that did not fit.
func fits(want, got []string, at int, reached *int) bool {
	*reached = max(*reached, at)
	if at == len(want) {
		return len(got) == 0
	}
	if want[at] == "…" {
		for n := range len(got) + 1 {
			if fits(want, got[n:], at+1, reached) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && lineFits(want[at], got[0]) && fits(want, got[1:], at+1, reached)
}

func lineFits(want, got string) bool {
	if !strings.Contains(want, "…") {
		return want == got
	}
	if strings.Count(want, "…") == strings.Count(got, "…") && want == got {
		return true
	}
	parts := strings.Split(want, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(got)
}

func indented(lines []string) string {
	if len(lines) == 0 {
		return "    (nothing)"
	}
	return "    " + strings.Join(lines, "\n    ")
}

// compare holds what a block gave against the output that the page shows of it.
func compare(b *block, text string) []problem {
	out := b.expected()
	if out == nil {
		return nil
	}
	at, how := differs(printed(out.text), printed(text))
	if how == "" {
		return nil
	}
	return []problem{out.wrongAt(at, "another output than the page shows\n%s", how)}
}
