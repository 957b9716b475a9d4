package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/group"
)

const (
	// drainTime bounds the wait for the last output of a command that has exited. Everything that it wrote is already
	// in the pipe; only a process that left its group can keep the pipe open longer.
	drainTime = time.Second
	// lookEvery is how often a group that was asked to end is checked, once its leader is gone.
	lookEvery = 50 * time.Millisecond
	// stderrBytes is more than what is shown of it: hiding secrets may leave less.
	stderrBytes = 8 << 10
)

var errTooMuch = errors.New("it printed too much")

// process is one run of a program: what it gets, and what became of it.
type process struct {
	argv    []string
	dir     string
	env     []string
	secrets *executor.Secrets // that it gets and must not reveal
	stdin   []byte
	max     int           // bytes of stdout; if it prints more, it is ended
	grace   time.Duration // between SIGTERM and SIGKILL

	stdout  []byte
	stderr  tail
	tooMuch bool
	asked   bool             // it was asked to end, because its context ended or it printed too much
	killed  bool             // it did not end within its grace
	state   *os.ProcessState // nil: it never started, err says why
	err     error
}

// run starts the program and returns when its whole process group is gone and its pipes are closed. When the context
// ends, the group is asked to end, and killed after the grace.
func (p *process) run(parent context.Context) {
	// The parent-death signal is sent when the thread that started the process ends. Held by this goroutine, the
	// thread lives as long as the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Dir, cmd.Env = p.dir, p.env
	group.Isolate(cmd)
	var end ending
	cmd.Cancel = func() error { return end.begin(cmd.Process, p.grace) }

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
	_ = cmd.Wait() // also waits for Cancel to return
	p.state = cmd.ProcessState
	p.asked, p.killed = end.finish(cmd.Process)
	pipes.drain(drainTime)
	<-done
}

// ending is how a process group ends. If it was asked to, the grace counts for all of it, also after the leader has
// ended.
type ending struct {
	over   <-chan struct{} // closed when the grace is over; nil = it was not asked to end
	killer *time.Timer
}

// begin asks the group to end, and kills it after the grace.
func (e *ending) begin(p *os.Process, grace time.Duration) error {
	over := make(chan struct{})
	e.over = over
	err := group.End(p)
	e.killer = time.AfterFunc(grace, func() {
		_ = group.Kill(p)
		close(over)
	})
	return err
}

// finish returns when nothing is left of the group, whose leader is gone. What a command that ended by itself left
// behind, usually nothing, is killed at once.
func (e *ending) finish(p *os.Process) (asked, killed bool) {
	if e.over == nil {
		_ = group.Kill(p)
		return false, false
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for group.Lives(p) {
		select {
		case <-e.over:
			return true, true
		case <-look.C:
		}
	}
	return true, !e.killer.Stop()
}
