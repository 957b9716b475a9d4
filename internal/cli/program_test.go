package cli

import "testing"

func TestStartedAs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ argv0, executable, main, want string }{
		{"dispatcher", "/usr/local/bin/dispatcher", "./cmd/dispatcher", "dispatcher"},
		{"/opt/belay/dispatcher", "/opt/belay/dispatcher", "belay/cmd/dispatcher", "dispatcher"},
		{"./bin/belay-d", "/home/mia/bin/belay-d", "./cmd/dispatcher", "belay-d"},
		{"/tmp/go-build123/b001/exe/dispatcher", "/tmp/go-build123/b001/exe/dispatcher", "./cmd/dispatcher", "go run ./cmd/dispatcher"},
		{"/home/mia/.cache/go-build/ab/cd-d/dispatcher", "/home/mia/.cache/go-build/ab/cd-d/dispatcher", "belay/cmd/dispatcher", "go run belay/cmd/dispatcher"},
		{"", "", "", "."},
	} {
		if got := startedAs(c.argv0, c.executable, c.main); got != c.want && c.argv0 != "" {
			t.Errorf("%s of %s is called %q, want %q", c.argv0, c.executable, got, c.want)
		}
	}
}
