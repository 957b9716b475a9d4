package dispatcher

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"belay/internal/executor"
	"belay/internal/plan"
)

// serviceVariable is set in the environment of a service, and so of everything that it starts.
const serviceVariable = "BELAY_SERVICE"

// child is a service that this process has started, in its own process group.
type child struct {
	cmd    *exec.Cmd
	tail   tail
	exited chan struct{}
	err    error // once it has exited
}

func startChild(def plan.Service, mark string) (*child, error) {
	c := &child{exited: make(chan struct{})}
	c.cmd = exec.Command(def.Argv[0], def.Argv[1:]...) //nolint:noctx // stop ends it, with its whole group
	c.cmd.Dir = def.Dir
	c.cmd.Env = append(os.Environ(), serviceVariable+"="+mark)
	for _, e := range def.Env {
		if !e.FromEnv {
			c.cmd.Env = append(c.cmd.Env, e.Name+"="+e.Value)
		}
	}
	c.cmd.Stdout, c.cmd.Stderr = &c.tail, &c.tail
	c.cmd.WaitDelay = time.Second
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

// over reports whether the child has ended.
func (c *child) over() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// how says how the child ended.
func (c *child) how() string {
	if c.err == nil {
		return "exit status 0"
	}
	return c.err.Error()
}

// said is the end of its output, on separate lines.
func (c *child) said() string {
	text := strings.TrimSpace(c.tail.String())
	if text == "" {
		return "; it wrote nothing"
	}
	return "; its last lines:\n" + text
}

// has reports whether a process belongs to its group.
func (c *child) has(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return err == nil && group == c.cmd.Process.Pid
}

// terminate asks the whole group to end.
func (c *child) terminate() {
	if c != nil {
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGTERM)
	}
}

// end waits 3 seconds for the child to end, and then kills the group.
func (c *child) end() {
	if c == nil {
		return
	}
	select {
	case <-c.exited:
	case <-time.After(3 * time.Second):
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.exited
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }

// tail keeps the end of the output of a service, to be shown if it fails.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const tailBytes = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if t.b.Len() > 2*tailBytes {
		t.b.Next(t.b.Len() - tailBytes)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return executor.Tail(t.b.Bytes(), tailBytes)
}
