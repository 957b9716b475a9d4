package view

import (
	"encoding/json"
	"strings"
	"testing"
)

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// TestViewsOfWhatIsTooDeep: a log from before there was a limit is still a document.
func TestViewsOfWhatIsTooDeep(t *testing.T) {
	t.Parallel()
	for _, levels := range []int{deepestShown + 1, 9_999, 50_000} {
		raw, err := json.Marshal(map[string]any{"output": Value(json.RawMessage(nested(levels)))})
		if err != nil {
			t.Fatalf("%d levels: %v", levels, err)
		}
		var back struct{ Output string }
		if err := json.Unmarshal(raw, &back); err != nil || back.Output != nested(levels) {
			t.Errorf("%d levels: not the text of the value: %v", levels, err)
		}
	}
	if got := Value(json.RawMessage(nested(deepestShown))); string(got) != nested(deepestShown) {
		t.Error("a value that can be shown is not shown as it is")
	}
}
