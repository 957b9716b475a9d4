package stepstest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the stories anew; review the difference")

// Stories tells each story that pattern names anew, in a test of its own. Its lines are commands and, indented below each,
// what say gives for it; say gets every line but comments and blank ones. With -update the files are written anew.
func Stories(t *testing.T, pattern string, say func(st *Story, line string) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			story(t, f, say)
		})
	}
}

func story(t *testing.T, file string, say func(st *Story, line string) string) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	st := NewStory(t)
	var out bytes.Buffer
	for line := range strings.Lines(string(old)) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line)
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out.WriteString(say(st, line))
		}
	}
	st.Check()
	File(t, file, out.String())
}

// File compares a file with what it should hold. With -update it is written anew.
func File(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old, err := os.ReadFile(file); err != nil || string(old) != want {
		t.Errorf("%s is another one now (run with -update and review): %v\n%s", file, err, want)
	}
}
