package dispatcher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/notify"
)

// notifier notifies people as a notify file says; nobody without one.
func (a *app) notifier(path string) (*notify.Service, error) {
	if path == "" {
		return &notify.Service{}, nil
	}
	setup, err := notify.Load(path, a.Getenv, a.Outbound().Own())
	if err != nil {
		return nil, err
	}
	return &notify.Service{Setup: setup}, nil
}

func (a *app) notifyCommand() *cobra.Command {
	c := &cobra.Command{Use: "notify", Short: "Test how people are notified", RunE: cli.NeedSubcommand}
	var file string
	test := &cobra.Command{
		Use: "test CHANNEL", Short: "Send a test notice to a channel of the notify file", Args: cobra.ExactArgs(1),
		Example: "  dispatcher notify test payments-chat --file config/notify.yaml",
		RunE:    func(c *cobra.Command, args []string) error { return a.notifyTest(c.Context(), file, args[0]) },
	}
	test.Flags().StringVarP(&file, "file", "f", "notify.yaml", "notify `file`")
	c.AddCommand(test)
	return c
}

func (a *app) notifyTest(ctx context.Context, file, name string) error {
	s, err := notify.Load(file, a.Getenv, a.Outbound().Own())
	if err != nil {
		return err
	}
	channel, ok := s.Channels[name]
	if !ok {
		return cli.Usage("%s has no channel %q; it has %s", file, name, strings.Join(slices.Sorted(maps.Keys(s.Channels)), ", "))
	}
	if err := notify.Test(ctx, channel); err != nil {
		return fmt.Errorf("channel %s: %w", name, err)
	}
	fmt.Fprintf(a.Out, "channel %s accepted the notice; check that it arrived\n", name)
	return nil
}
