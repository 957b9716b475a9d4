package cli_test

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

// everyCommand calls f for a program's commands.
func everyCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		everyCommand(sub, f)
	}
}

// programs are both, started as somebody may.
func programs(program string) []*cobra.Command {
	return []*cobra.Command{
		dispatcher.Root(cli.IO{Program: program}), worker.Root(cli.IO{Program: strings.ReplaceAll(program, "dispatcher", "worker")}),
	}
}

// TestHelpIsNotGarbled: pflag takes what stands between backquotes in the help of a flag for the name of its value, and
// cobra offers nouns as commands of their own.
func TestHelpIsNotGarbled(t *testing.T) {
	t.Parallel()
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

// TestEveryCommandIsNamed as the program was started, in whatever text it stands.
func TestEveryCommandIsNamed(t *testing.T) {
	t.Parallel()
	a := &cli.App{IO: cli.IO{Program: "go run ./cmd/dispatcher"}}
	a.Prepare(&cobra.Command{Use: "dispatcher"})
	for _, root := range programs("") {
		for _, c := range root.Commands() {
			if text := root.Name() + " " + c.Name(); a.Named(text) == text && c.Name() != "exit-codes" {
				t.Errorf("%q stays as it is where the program was started as %s", text, a.Program)
			}
		}
	}
}

// TestHelpNamesTheProgram as it was started, whichever page of it.
func TestHelpNamesTheProgram(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	run := func(program string, args ...string) string {
		var out bytes.Buffer
		args = slices.Concat(args, []string{"--data-dir", t.TempDir()})
		dispatcher.Run(context.Background(), args, cli.IO{In: strings.NewReader(""), Out: &out, Err: &out, Getenv: func(string) string { return "" }, Program: program})
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
