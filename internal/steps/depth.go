package steps

import (
	"encoding/json"
	"fmt"
	"strings"
)

// MaxDepth is how deep lists and objects may be nested in JSON that comes from outside: outputs, answers, edits, inputs,
// documents. People nest a dozen levels; what nests thousands costs its readers the square of its size, and is no JSON
// any more to a reader that has it inside a document of its own.
const MaxDepth = 200

// deepestShown is what a view still shows as it is. A list of outputs is a level deeper than each of them.
const deepestShown = 2 * MaxDepth

// TooDeep is JSON that is nested deeper than [MaxDepth].
type TooDeep struct{ Levels int }

func (e TooDeep) Error() string {
	return fmt.Sprintf("lists and objects are nested %d levels deep, at most %d are possible", e.Levels, MaxDepth)
}

// CheckDepth gives a [TooDeep] for JSON that is nested too deep, or would be if it were JSON. It is meant to be asked
// before anything else is done with a text from outside.
func CheckDepth[T ~string | ~[]byte](raw T) error {
	if levels := Depth(raw); levels > MaxDepth {
		return TooDeep{levels}
	}
	return nil
}

// Depth is how deep lists and objects are nested in a JSON text: 0 for a number, 1 for []. It reads every byte once and
// takes no memory, whatever the text holds.
func Depth[T ~string | ~[]byte](raw T) int {
	depth, deepest := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		case '"':
			i = endOfText(raw, i)
		}
	}
	return deepest
}

// endOfText is where the string ends that begins at start.
func endOfText[T ~string | ~[]byte](raw T, start int) int {
	for i := start + 1; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return len(raw)
}

// Viewed is a value as views and programs are shown it. Logs from before there was a limit may hold values that are
// nested so deep that no document can carry them: these are shown as a text that holds their JSON.
func Viewed(raw json.RawMessage) json.RawMessage {
	if len(raw) < 2*deepestShown || Depth(raw) <= deepestShown {
		return orNull(raw)
	}
	text, err := json.Marshal(strings.ToValidUTF8(string(raw), "\uFFFD"))
	if err != nil {
		panic("steps: a text cannot be written as JSON: " + err.Error())
	}
	return text
}

// ViewedDecision is a decision with its values as they are shown; nil where nobody has decided.
func ViewedDecision(d *Decided) *Decided {
	if d == nil {
		return nil
	}
	shown := *d
	for _, v := range []*json.RawMessage{&shown.Params, &shown.Patch, &shown.Answer} {
		if *v != nil {
			*v = Viewed(*v)
		}
	}
	return &shown
}
