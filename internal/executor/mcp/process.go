package mcpexec

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/group"
)

const (
	// How long a server may take to end once its stdin is closed, and then once it is asked to by SIGTERM.
	leaveTime = time.Second
	termTime  = 2 * time.Second
	// drainTime bounds the wait for the last output of a server that has exited, as for commands.
	drainTime = time.Second
	saidBytes = 8 << 10
	saidShown = 4 << 10
)

// process is a server's program.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	stderr *os.File
	exited chan struct{} // closed when it has exited and its group is gone

	ending sync.Once
	mu     sync.Mutex
	words  []byte // the end of stderr, and what stdout had beside messages
}

// start starts the program in a process group of its own.
func start(spec executor.MCPServer) (*process, error) {
	var s executor.Secrets                              // nothing that is said here
	cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...) //nolint:noctx // it outlives the call that needs it first
	cmd.Dir, cmd.Env = spec.Dir, executor.Environ(spec.Env, &s)
	group.Isolate(cmd)
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	errR, errW, err3 := os.Pipe()
	p := &process{cmd: cmd, stdin: inW, stdout: outR, stderr: errR, exited: make(chan struct{})}
	child := []*os.File{inR, outW, errW}
	if err := errors.Join(err1, err2, err3); err != nil {
		closeAll(append(child, inW, outR, errR))
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, errW
	started := make(chan error)
	go p.live(started, child)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// live starts the program, and returns when it and its group are gone. The parent-death signal is sent when the thread
// that started a program ends: held by this goroutine, it lives as long as the program.
func (p *process) live(started chan<- error, child []*os.File) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	closeAll(child)
	if err != nil {
		closeAll([]*os.File{p.stdin, p.stdout, p.stderr})
		started <- err
		return
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		_, _ = io.Copy(p, p.stderr)
	}()
	started <- nil
	_ = p.cmd.Wait() // how it ended does not matter: a server must not
	_ = group.Kill(p.cmd.Process)
	end := time.Now().Add(drainTime)
	_ = p.stdout.SetReadDeadline(end) // a process that has left the group may keep it open
	_ = p.stderr.SetReadDeadline(end)
	<-heard
	close(p.exited)
}

// Write keeps the last of what the program says beside its messages.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.words = append(p.words, b...)
	if over := len(p.words) - saidBytes; over > 0 {
		p.words = append(p.words[:0], p.words[over:]...)
	}
	return len(b), nil
}

// said is the end of what the program said. A program that is ending is given a moment to say it.
func (p *process) said() string {
	select {
	case <-p.exited:
	case <-time.After(leaveTime / 10):
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return executor.Tail(p.words, saidShown)
}

// end ends the program and its group, and returns when they are gone: it closes stdin, then asks, then kills.
func (p *process) end() {
	p.ending.Do(func() {
		_ = p.stdin.Close()
		if !p.exits(leaveTime) {
			_ = group.End(p.cmd.Process)
		}
		if !p.exits(termTime) {
			_ = group.Kill(p.cmd.Process)
		}
	})
	<-p.exited
	closeAll([]*os.File{p.stdout, p.stderr})
}

func (p *process) exits(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.exited:
		return true
	case <-t.C:
		return false
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // it may be closed already, or was never opened
	}
}
