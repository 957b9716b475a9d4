package worker_test

import (
	"context"
	"os"
	"testing"

	"belay/internal/cli"
	"belay/internal/cli/clitest"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

// TestScripts: what is typed and what comes back, as stories in testdata.
func TestScripts(t *testing.T) { clitest.Run(t, "testdata") }

func TestMain(m *testing.M) {
	clitest.Main(m, map[string]func(){
		"dispatcher": func() { os.Exit(dispatcher.Run(context.Background(), os.Args[1:], cli.System())) },
		"worker":     func() { os.Exit(worker.Run(context.Background(), os.Args[1:], cli.System(), nil)) },
		"receive":    receive,
	})
}
