package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Complete lets the shell complete an argument of a command by what f offers, which is asked with the settings of the environment
// and the settings file filled in. F gets the arguments before it, and the beginning of this one, which need not be what it
// offers begins with. Nothing is offered where the settings are wrong: the command itself says so.
func (a *App) Complete(c *cobra.Command, f cobra.CompletionFunc) {
	c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if a.fill(c) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(c, args, begun)
	}
}

// Files offers the files with one of these endings.
func Files(endings ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}

// completeFlags lets the shell complete the values of a command's flags, and of those of the commands below it, as far as what
// a flag takes says what they can be: one of a few words, a directory, or a file, which the shell completes by itself.
func completeFlags(c *cobra.Command) {
	offer := func(f *pflag.Flag) {
		if _, done := c.GetFlagCompletionFunc(f.Name); done {
			return
		}
		_ = c.RegisterFlagCompletionFunc(f.Name, byValue(f)) // it fails only for flags that are not there, or were done before
	}
	c.LocalNonPersistentFlags().VisitAll(offer)
	c.PersistentFlags().VisitAll(offer)
	for _, sub := range c.Commands() {
		completeFlags(sub)
	}
}

func byValue(f *pflag.Flag) cobra.CompletionFunc {
	if choice, is := f.Value.(Choice); is {
		return cobra.FixedCompletions(choice.words, cobra.ShellCompDirectiveNoFileComp)
	}
	kind, _ := pflag.UnquoteUsage(f)
	switch {
	case kind == "file" && strings.Contains(f.Name, "tools"):
		return Files("yaml", "yml", "json")
	case kind == "file":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case kind == "directory":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	}
	return cobra.NoFileCompletions
}
