package steps

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func TestDepth(t *testing.T) {
	for text, want := range map[string]int{
		``: 0, `1`: 0, `"[[["`: 0, `[]`: 1, `{"a":[1,{"b":2}],"c":[]}`: 3, `["\"[[", "\\", [1]]`: 2, `[[],[],[[]]]`: 3,
		`"open [[`: 0, `]]][`: 0, nested(200): 200, nested(300_000): 300_000,
	} {
		if got := Depth(text); got != want {
			t.Errorf("%.40s: %d, want %d", text, got, want)
		}
	}
}

func TestCheckDepthNamesBothFigures(t *testing.T) {
	if err := CheckDepth(nested(MaxDepth)); err != nil {
		t.Error(err)
	}
	err := CheckDepth([]byte(nested(MaxDepth + 1)))
	var deep TooDeep
	if !errors.As(err, &deep) || err.Error() != "lists and objects are nested 201 levels deep, at most 200 are possible" {
		t.Errorf("%v", err)
	}
}

func TestDepthTakesNoMemory(t *testing.T) {
	raw := []byte(strings.Repeat(`{"a":[`, 100_000))
	if n := testing.AllocsPerRun(3, func() { Depth(raw) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestViewsOfWhatIsTooDeep: a log from before there was a limit is still a document.
func TestViewsOfWhatIsTooDeep(t *testing.T) {
	for _, levels := range []int{deepestShown + 1, 9_999, 50_000} {
		raw, err := json.Marshal(map[string]any{"output": Viewed(json.RawMessage(nested(levels)))})
		if err != nil {
			t.Fatalf("%d levels: %v", levels, err)
		}
		var back struct{ Output string }
		if err := json.Unmarshal(raw, &back); err != nil || back.Output != nested(levels) {
			t.Errorf("%d levels: not the text of the value: %v", levels, err)
		}
	}
	if got := Viewed(json.RawMessage(nested(deepestShown))); string(got) != nested(deepestShown) {
		t.Error("a value that can be shown is not shown as it is")
	}
}
