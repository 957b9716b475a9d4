package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/notify"
)

// notifySetup reads the notify file; nil for none.
func (a *app) notifySetup(path string) (*notify.Setup, error) {
	if path == "" {
		return nil, nil
	}
	return notify.Load(path, a.Getenv)
}

func (a *app) notifyCommand() *cobra.Command {
	c := &cobra.Command{Use: "notify", Short: "Try how people are told that something waits for them", RunE: needSubcommand}
	var file string
	test := &cobra.Command{
		Use: "test CHANNEL", Short: "Send a message that asks for nothing to a channel of the notify file", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.notifyTest(c.Context(), file, args[0]) },
	}
	test.Flags().StringVarP(&file, "file", "f", "notify.yaml", "the notify file")
	c.AddCommand(test)
	return c
}

func (a *app) notifyTest(ctx context.Context, file, name string) error {
	s, err := notify.Load(file, a.Getenv)
	if err != nil {
		return err
	}
	channel, ok := s.Channels[name]
	if !ok {
		return usage("%s has no channel %q; it has %s", file, name, strings.Join(slices.Sorted(maps.Keys(s.Channels)), ", "))
	}
	if err := notify.Test(ctx, channel); err != nil {
		return fmt.Errorf("channel %s: %w", name, err)
	}
	fmt.Fprintf(a.Out, "channel %s took it: look whether it is there\n", name)
	return nil
}
