package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"time"

	"belay/internal/executor"
)

const (
	// drainTime bounds the wait for the last output of a command that has exited. All that it wrote is in the pipe
	// already; only a process that left its group can keep the pipe open longer.
	drainTime = time.Second
	// lookEvery is how often a group that was told to end is looked at, once its leader is gone.
	lookEvery = 50 * time.Millisecond
	// stderrBytes is more than what is shown of it: hiding secrets may leave less.
	stderrBytes = 8 << 10
)

var errTooMuch = errors.New("it printed too much")

// process is one run of a program: what it is given, and then what became of it.
type process struct {
	argv    []string
	dir     string
	env     []string
	secrets *executor.Secrets // that it is given, and must not tell
	stdin   []byte
	max     int           // bytes of stdout; more than that end it
	grace   time.Duration // between being told to end and being killed

	stdout  []byte
	stderr  tail
	tooMuch bool
	told    bool             // it was told to end, as its context ended or it printed too much
	killed  bool             // it did not end within its grace
	state   *os.ProcessState // nil: it never started, err says why
	err     error
}

// run starts the program and returns when it is gone, with its whole process group, and its pipes are closed. When the
// context ends the group is told to end, and killed after the grace.
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
	p.told, p.killed = end.finish(cmd.Process)
	pipes.drain(drainTime)
	<-done
}

// ending is how a process group ends. One that was told to has its grace, also for those whose leader went before them.
type ending struct {
	over   <-chan struct{} // closed when the grace is; nil: it was not told to end
	killer *time.Timer
}

// begin tells the group to end, and kills it after the grace.
func (e *ending) begin(p *os.Process, grace time.Duration) error {
	over := make(chan struct{})
	e.over = over
	err := endGroup(p)
	e.killer = time.AfterFunc(grace, func() {
		_ = killGroup(p)
		close(over)
	})
	return err
}

// finish returns when nothing is left of the group, whose leader is gone. What a command that ended by itself has left
// behind, mostly nothing, is killed at once.
func (e *ending) finish(p *os.Process) (told, killed bool) {
	if e.over == nil {
		_ = killGroup(p)
		return false, false
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for groupLives(p) {
		select {
		case <-e.over:
			return true, true
		case <-look.C:
		}
	}
	return true, !e.killer.Stop()
}
