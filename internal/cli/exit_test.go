package cli_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"belay/internal/bus"
	"belay/internal/cli"
)

func TestAStopBeforeItIsReadyIsNoFailure(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	connecting := cli.WithCode(cli.ExitUnreachable, fmt.Errorf("%w: %w", bus.ErrUnreachable, context.Canceled))
	if err := cli.UnlessStopped(stopped, connecting); err != nil {
		t.Errorf("told to stop while it connected: %v", err)
	}
	if err := cli.UnlessStopped(t.Context(), connecting); err == nil {
		t.Error("nobody stopped it, and its failure is lost")
	}
	if err := cli.UnlessStopped(stopped, errors.New("disk full")); err == nil {
		t.Error("what failed beside the stop is lost")
	}
}
