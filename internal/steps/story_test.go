package steps_test

import (
	"testing"

	"belay/internal/stepstest"
)

// TestStories runs every story in testdata. A story is commands and, indented below each, what came of it: units that
// moved, what is wanted now. The first lines say what the tools and the plan are; see [stepstest.Story.Command] for the
// words.
func TestStories(t *testing.T) {
	t.Parallel()
	stepstest.Stories(t, "testdata/*.txt", func(st *stepstest.Story, line string) string {
		st.Command(line)
		return st.Trace()
	})
}
