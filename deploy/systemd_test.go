package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

// execStart finds the command of a unit.
var execStart = regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(.+)$`)

// TestUnits: systemd knows every line, and the programs every flag.
func TestUnits(t *testing.T) {
	t.Parallel()
	units, _ := filepath.Glob("systemd/*.service")
	if len(units) != 2 {
		t.Fatal(units)
	}
	dir := t.TempDir()
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		command := execStart.FindStringSubmatch(string(text))
		if command == nil {
			t.Fatalf("%s starts nothing", unit)
		}
		words := strings.Fields(command[1])
		root := dispatcher.Root(cli.IO{})
		if words[0] == "worker" {
			root = worker.Root(cli.IO{})
		}
		c, rest, err := root.Find(words[1:])
		if err == nil {
			err = c.ParseFlags(rest)
		}
		if err != nil {
			t.Errorf("%s: %v", unit, err)
		}
		write(t, filepath.Join(dir, filepath.Base(unit)), strings.ReplaceAll(string(text), "/usr/local/bin/", dir+"/"))
		if err := os.WriteFile(filepath.Join(dir, words[0]), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here, which knows what a unit may say")
	}
	copies, _ := filepath.Glob(dir + "/*.service")
	out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--recursive-errors=yes", "--man=no"}, copies...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
