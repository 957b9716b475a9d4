package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"time"
)

const (
	// drainTime bounds the wait for the last output of a command that has exited. All that it wrote is in the pipe
	// already; only a process that left its group can keep the pipe open longer.
	drainTime = time.Second
	// stderrBytes is more than what is shown of it: hiding secrets may leave less.
	stderrBytes = 8 << 10
)

var errTooMuch = errors.New("it printed too much")

// process is one run of a program: what it is given, and then what became of it.
type process struct {
	argv  []string
	dir   string
	env   []string
	stdin []byte
	max   int // bytes of stdout; more than that end it

	stdout  []byte
	stderr  tail
	tooMuch bool
	state   *os.ProcessState // nil: it never started, err says why
	err     error
}

// run starts the program and returns when it is gone, with its whole process group, and its pipes are closed.
func (p *process) run(parent context.Context) {
	// The parent-death signal is sent when the thread that started the process ends. Held by this goroutine, the
	// thread lives as long as the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Dir, cmd.Env = p.dir, p.env
	isolate(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }

	pipes, err := openPipes(cmd)
	if err != nil {
		p.err = err
		return
	}
	defer pipes.close()
	if p.err = cmd.Start(); p.err != nil {
		return
	}
	pipes.closeChild()
	done := pipes.carry(p, func() { cancel(errTooMuch) })
	// How it ended is in the process state; an error from Wait says no more.
	_ = cmd.Wait()
	p.state = cmd.ProcessState
	_ = killGroup(cmd.Process) // whatever it left behind; mostly nothing
	pipes.drain(drainTime)
	<-done
}
