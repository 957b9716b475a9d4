package clients_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"belay/internal/cli"
	"belay/internal/cli/clitest"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

// TestScripts: what users of the clients write, against dispatchers and workers in processes of their own.
func TestScripts(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	clitest.Run(t, "testdata", "CLIENTS="+here, "PYTHONPATH="+filepath.Join(here, "python"), "PYTHONDONTWRITEBYTECODE=1",
		"BELAY_URL=", "BELAY_WORK_URL=", "LEDGER=", "CUT_URL=")
}

func TestMain(m *testing.M) {
	clitest.Main(m, map[string]func(){
		"dispatcher": func() { os.Exit(dispatcher.Run(context.Background(), os.Args[1:], cli.System())) },
		"worker":     func() { os.Exit(worker.Run(context.Background(), os.Args[1:], cli.System(), nil)) },
	})
}
