package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"belay/internal/steps"
	"belay/internal/text"
)

// Lengths of a summary, in characters.
const (
	longestSummary = 120
	leastOfValue   = 16 // a value is not cut shorter than this
	longestNumber  = 40 // a longer number is not written at all, since numbers are never cut
	longestName    = 24
	tooLong        = 1000 // bytes at each end of a text that are looked at
)

// Summary is one line about what a call of a tool with these parameters is about to do: what the tool's summary says or,
// without one, the parameters themselves, the scalars first. People decide by it, so it shows exactly what the call holds:
// invisible characters are written out, and long texts are cut in the middle, but never inside a number. It is empty for
// parameters that are not an object.
func Summary(p *steps.Program, tool string, params json.RawMessage) string {
	values, ok := steps.Decode(params).(map[string]any)
	if !ok {
		return ""
	}
	saying := p.Summaries[tool]
	if saying.Say != nil {
		if pieces, err := saying.Say(values); err == nil {
			return sentence(pieces)
		}
	}
	return listed(values, saying.Order)
}

// summary is one line about what unit i does; empty before its parameters are known.
func (s run) summary(i int) string { return Summary(s.Program, s.Tool(i).Name, s.Units[i].Params) }

// summaryOf is one line about the call that e is about; empty for an escalation about the run as a whole.
func (s run) summaryOf(e *steps.Escalation) string {
	if e.Unit == steps.RunUnit {
		return ""
	}
	return s.summary(e.Unit)
}

// CutSummary makes a summary shorter, for a column: in its middle, and never inside a number.
func CutSummary(s string, most int) string { return cutMiddle(s, most) }

// sentence joins the pieces, in as many characters as a line has.
func sentence(pieces []steps.Piece) string {
	words := make([]word, len(pieces))
	for i, p := range pieces {
		words[i] = word{text: oneLine(p.Text)}
		if p.Value {
			words[i] = valueWord(p.Text)
		}
	}
	return strings.TrimSpace(fitted(words, ""))
}

// oneLine is text of a tools file: written over several lines, read as one.
func oneLine(s string) string {
	return visible(strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ").Replace(s))
}

// word is a stretch of a summary that is written as a whole, or cut in its middle.
type word struct {
	text  string
	whole bool // never cut
}

func valueWord(s string) word {
	if isNumber(s) {
		return numberWord(s)
	}
	return word{text: visible(s)}
}

func numberWord(s string) word {
	if len(s) > longestNumber {
		return word{text: fmt.Sprintf("[a number of %d characters]", len(s)), whole: true}
	}
	return word{text: s, whole: true}
}

// isNumber reports whether a text is an amount as people write them: digits, and what stands between and before them.
func isNumber(s string) bool {
	return strings.ContainsAny(s, "0123456789") && strings.Trim(s, "0123456789.,'_+-eE ") == ""
}

// fitted joins words and cuts the longest of them, all to the same length, until they fit; where not even that helps,
// words in the middle are left out.
func fitted(words []word, between string) string {
	for most := longestSummary; most >= leastOfValue; most-- {
		if line := joined(words, between, most); utf8.RuneCountInString(line) <= longestSummary {
			return line
		}
	}
	return edges(words, between)
}

func joined(words []word, between string, most int) string {
	cut := make([]string, len(words))
	for i, w := range words {
		cut[i] = w.cut(most)
	}
	return strings.Join(cut, between)
}

func (w word) cut(most int) string {
	if w.whole {
		return w.text
	}
	return cutMiddle(w.text, most)
}

// edges keeps as many words from both ends as fit into half a line each.
func edges(words []word, between string) string {
	head, tail := 0, len(words)
	for room := longestSummary / 2; head < tail; head++ {
		if room -= utf8.RuneCountInString(words[head].cut(leastOfValue) + between); room < 0 {
			break
		}
	}
	for room := longestSummary / 2; tail > head; tail-- {
		if room -= utf8.RuneCountInString(words[tail-1].cut(leastOfValue) + between); room < 0 {
			break
		}
	}
	return joined(words[:head], between, leastOfValue) + between + "…" + between + joined(words[tail:], between, leastOfValue)
}

// cutMiddle leaves out the middle of a text, but no part of a number: a sum that has lost digits is another sum.
func cutMiddle(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	head := most / 2
	tail := len(r) - (most - head - 1)
	for head > 0 && ofNumber(r[head-1]) && ofNumber(r[head]) {
		head--
	}
	for tail < len(r) && ofNumber(r[tail-1]) && ofNumber(r[tail]) {
		tail++
	}
	return string(r[:head]) + "…" + string(r[tail:])
}

func ofNumber(r rune) bool { return r >= '0' && r <= '9' || r == '.' || r == ',' || r == '\'' }

// visible writes out what a reader would not see, or would see something else because of. Of a text that no line could
// hold only the ends are looked at.
func visible(s string) string {
	if len(s) > 2*tooLong {
		s = strings.ToValidUTF8(s[:tooLong], "") + "…" + strings.ToValidUTF8(s[len(s)-tooLong:], "")
	}
	return text.Visible(s)
}

// listed makes a line of parameters, `amount 120, customer ann`: the scalars first, in the order that is given and then
// by name. What has no room is counted, the numbers last.
func listed(params map[string]any, order []string) string {
	var scalars, others []word
	for _, name := range inOrder(params, order) {
		w, scalar := entry(name, params[name])
		if scalar {
			scalars = append(scalars, w)
			continue
		}
		others = append(others, w)
	}
	words := slices.Concat(scalars, others)
	for left := 0; ; left++ {
		shown := slices.Clone(words)
		if left > 0 {
			shown = append(shown, word{text: fmt.Sprintf("%d more", left), whole: true})
		}
		line := joined(shown, ", ", 2*longestName)
		if len(words) <= 1 || utf8.RuneCountInString(line) <= longestSummary {
			return line
		}
		words = withoutOne(words)
	}
}

func inOrder(params map[string]any, order []string) []string {
	var names []string
	for _, name := range order {
		if _, ok := params[name]; ok {
			names = append(names, name)
		}
	}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(params)), func(name string) bool { return slices.Contains(names, name) })
	return append(names, rest...)
}

// withoutOne drops the last word that is no number, or the last one.
func withoutOne(words []word) []word {
	for i := len(words) - 1; i >= 0; i-- {
		if !words[i].whole {
			return slices.Delete(slices.Clone(words), i, i+1)
		}
	}
	return words[:len(words)-1]
}

// entry is one parameter with its name.
func entry(name string, v any) (w word, scalar bool) {
	name = cutMiddle(visible(name), longestName)
	switch x := v.(type) {
	case nil:
		return word{text: name + " null"}, true
	case bool:
		return word{text: fmt.Sprint(name, " ", x)}, true
	case json.Number:
		return word{text: name + " " + numberWord(string(x)).text, whole: true}, true
	case string:
		return stringEntry(name, x), true
	case []any:
		return word{text: fmt.Sprintf("%s (%d)", name, len(x))}, false
	case map[string]any:
		return word{text: name + " {…}"}, false
	}
	return word{text: name}, false
}

// stringEntry quotes a text that could be taken for the end of its entry and the next one.
func stringEntry(name, s string) word {
	if isNumber(s) {
		return word{text: name + " " + numberWord(s).text, whole: true}
	}
	shown := cutMiddle(visible(s), longestName)
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, `,"`) {
		shown = `"` + strings.ReplaceAll(shown, `"`, `\"`) + `"`
	}
	return word{text: name + " " + shown}
}
