package steps

import "fmt"

// MaxDepth is how deeply lists and objects may be nested in JSON that comes from outside: outputs, answers, edits, inputs,
// documents. People nest a dozen levels. Thousands of levels cost a reader the square of the size, and many readers
// refuse them.
const MaxDepth = 200

// TooDeep is the error for JSON that is nested deeper than [MaxDepth].
type TooDeep struct{ Levels int }

func (e TooDeep) Error() string {
	return fmt.Sprintf("lists and objects are nested %d levels deep, at most %d are possible", e.Levels, MaxDepth)
}

// CheckDepth returns a [TooDeep] for JSON that is nested too deeply, or would be if it were JSON. Call it before anything
// else is done with a text from outside.
func CheckDepth[T ~string | ~[]byte](raw T) error {
	if levels := Depth(raw); levels > MaxDepth {
		return TooDeep{levels}
	}
	return nil
}

// Depth is how deeply lists and objects are nested in a JSON text: 0 for a number, 1 for []. It reads every byte once and
// allocates nothing.
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
