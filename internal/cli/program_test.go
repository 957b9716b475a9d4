package cli

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestStartedAs(t *testing.T) {
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

// everyCommand calls f for a program's commands.
func everyCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		everyCommand(sub, f)
	}
}

// programs are both, started as somebody may.
func programs(program string) []*cobra.Command {
	d := &app{IO: IO{Program: program}, kind: "dispatcher"}
	root := d.dispatcherRoot()
	d.name(root)
	w := &app{IO: IO{Program: strings.ReplaceAll(program, "dispatcher", "worker")}, kind: "worker"}
	other := w.workerRoot()
	w.name(other)
	return []*cobra.Command{root, other}
}

// TestHelpIsNotGarbled: pflag takes what stands between backquotes in the help of a flag for the name of its value, and
// cobra offers nouns as commands of their own.
func TestHelpIsNotGarbled(t *testing.T) {
	for _, root := range programs("") {
		everyCommand(root, func(c *cobra.Command) {
			for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
				set.VisitAll(func(f *pflag.Flag) {
					if name, usage := pflag.UnquoteUsage(f); strings.ContainsAny(name, " `") || strings.Contains(usage, "`") {
						t.Errorf("%s --%s %s: %s", c.CommandPath(), f.Name, name, f.Usage)
					}
				})
			}
			for _, text := range []string{c.Short, c.Long, c.Example} {
				if strings.Count(text, "`")%2 != 0 {
					t.Errorf("%s: a backquote has no other: %s", c.CommandPath(), text)
				}
			}
			var help bytes.Buffer
			c.SetOut(&help)
			if err := c.Help(); err != nil {
				t.Fatal(err)
			}
			if c.HasParent() && c.HasSubCommands() && strings.Contains(help.String(), c.CommandPath()+" [flags]") {
				t.Errorf("%s alone is a mistake, and its help offers it", c.CommandPath())
			}
		})
	}
}

// TestHelpNamesTheProgram as it was started, whichever page of it.
func TestHelpNamesTheProgram(t *testing.T) {
	named := regexp.MustCompile(`(?:go run ./cmd/)?(dispatcher|worker) (?:run|runs|esc|dev|serve|token|keys|audit|tools|workers|--tools|--trust)\b`)
	for _, root := range programs("go run ./cmd/dispatcher") {
		everyCommand(root, func(c *cobra.Command) {
			var help bytes.Buffer
			c.SetOut(&help)
			if err := c.Help(); err != nil {
				t.Fatal(err)
			}
			for _, found := range named.FindAllString(help.String(), -1) {
				if !strings.HasPrefix(found, "go run ./cmd/") {
					t.Errorf("the help of %s says %q", c.CommandPath(), found)
				}
			}
		})
	}
}

// TestHintsNameTheProgram: what is printed or refused can be typed as it stands.
func TestHintsNameTheProgram(t *testing.T) {
	run := func(program string, args ...string) string {
		var out bytes.Buffer
		args = slices.Concat(args, []string{"--data-dir", t.TempDir()})
		Dispatcher(context.Background(), args, IO{In: strings.NewReader(""), Out: &out, Err: &out, Getenv: func(string) string { return "" }, Program: program})
		return out.String()
	}
	for program, want := range map[string]string{"": "dispatcher", "dispatcher": "dispatcher", "belay": "belay", "go run ./cmd/dispatcher": "go run ./cmd/dispatcher"} {
		for _, c := range []struct{ args, says string }{
			{"esc drain", "start `" + want + " dev`"}, {"runs ls", "`" + want + " run PLAN`"}, {"esc", "'" + want + " esc --help'"}, {"esc nonsense", "See '" + want + " esc --help'"},
			{"runs show --nonsense", "See '" + want + " runs show --help'"}, {"serve", "`" + want + " dev`"},
		} {
			if got := run(program, strings.Fields(c.args)...); !strings.Contains(got, c.says) {
				t.Errorf("started as %q, %s says %q, not %q", program, c.args, got, c.says)
			}
		}
	}
}
