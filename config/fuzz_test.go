package config

import (
	"errors"
	"testing"

	"belay/internal/yamldoc"
)

// FuzzSettings: whatever the text, there are known settings with values that their flags take, each once, or problems with
// their places.
func FuzzSettings(f *testing.F) {
	f.Add([]byte("server: nats://x\nworker:\n  ack_wait: 30s\n  only: [a, b]\n  tool_limits: {a: 1}\n"))
	f.Add([]byte("Server: x\nserver: y\nserver: z\n"))
	f.Add([]byte("# nothing\n"))
	known := newSettings().schema().checks()
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseSettings("belay.yaml", data, known)
		if err != nil {
			problems, is := errors.AsType[yamldoc.Problems](err)
			if !is || len(problems) == 0 {
				t.Fatalf("not problems: %v", err)
			}
			return
		}
		seen := map[[2]string]bool{}
		for _, s := range all {
			check, is := known[s.Section][s.Key]
			if !is || seen[[2]string{s.Section, s.Key}] {
				t.Fatalf("%+v", s)
			}
			seen[[2]string{s.Section, s.Key}] = true
			if err := check.check(s.Text); err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
		}
	})
}
