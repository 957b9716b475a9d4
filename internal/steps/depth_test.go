package steps

import (
	"errors"
	"strings"
	"testing"
)

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func TestDepth(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
