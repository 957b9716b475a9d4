package command_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"belay/internal/executor/command"
	"belay/internal/executor/executortest"
)

// workerEnv makes the test binary a worker that executes a command which never ends and holds the named fifo.
const workerEnv = "BELAY_TEST_WORKER_FIFO"

func TestMain(m *testing.M) {
	if path := os.Getenv(workerEnv); path != "" {
		spec := shell("exec 3>" + path + "; echo up >&3; exec sleep 300")
		_, _ = command.New(spec).Execute(context.Background(), executortest.Request(`{}`))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestCommandDiesWithItsWorker(t *testing.T) {
	t.Parallel()
	path := fifo(t, "life")
	worker := exec.Command(os.Args[0])
	worker.Env = append(os.Environ(), workerEnv+"="+path)
	started := make(chan struct{})
	gone := listen(t, path, started)
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	<-started
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait()
	<-gone // waits for ever if the command lived on
}
