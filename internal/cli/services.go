package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"belay/internal/executor"
	"belay/internal/plan"
)

// services are the programs that a tools file wants beside it, for examples and development: started, waited for, and
// stopped with everything they have started.
type services struct {
	all []*service
}

type service struct {
	cmd    *exec.Cmd
	tail   tail
	exited chan struct{}
	err    error
}

// startWait is how long a service may take to be ready; `go run` compiles first.
const startWait = 2 * time.Minute

func (a *app) startServices(ctx context.Context, t *plan.Tools) (*services, error) {
	s := &services{}
	for _, def := range t.Services {
		if def.Ready != "" && answers(ctx, def.Ready) {
			fmt.Fprintf(a.Err, "not starting %s: %s answers already, so what runs there is used\n", strings.Join(def.Argv, " "), def.Ready)
			continue
		}
		fmt.Fprintf(a.Err, "starting %s ...\n", strings.Join(def.Argv, " "))
		svc, err := startService(def)
		if err == nil {
			s.all = append(s.all, svc)
			err = svc.wait(ctx, def.Ready)
		}
		if err != nil {
			s.stop()
			return nil, fmt.Errorf("service %q of %s: %w", strings.Join(def.Argv, " "), t.File, err)
		}
	}
	return s, nil
}

func startService(def plan.Service) (*service, error) {
	svc := &service{exited: make(chan struct{})}
	svc.cmd = exec.Command(def.Argv[0], def.Argv[1:]...) //nolint:noctx // stopped by stop, with its whole group
	svc.cmd.Dir = def.Dir
	svc.cmd.Env = os.Environ()
	for _, e := range def.Env {
		if !e.FromEnv {
			svc.cmd.Env = append(svc.cmd.Env, e.Name+"="+e.Value)
		}
	}
	svc.cmd.Stdout, svc.cmd.Stderr = &svc.tail, &svc.tail
	svc.cmd.WaitDelay = time.Second
	svc.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := svc.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		svc.err = svc.cmd.Wait()
		close(svc.exited)
	}()
	return svc, nil
}

// wait asks the ready URL until it answers.
func (s *service) wait(ctx context.Context, ready string) error {
	if ready == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !answers(ctx, ready) {
		select {
		case <-s.exited:
			return fmt.Errorf("it ended before it was ready: %w\n%s", s.err, s.tail.String())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", ready, context.Cause(ctx), s.tail.String())
		case <-tick.C:
		}
	}
	return nil
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode/100 == 2
}

// stop ends all services with their children.
func (s *services) stop() {
	if s == nil {
		return
	}
	for _, svc := range s.all {
		_ = syscall.Kill(-svc.cmd.Process.Pid, syscall.SIGTERM)
	}
	for _, svc := range s.all {
		select {
		case <-svc.exited:
		case <-time.After(3 * time.Second):
			_ = syscall.Kill(-svc.cmd.Process.Pid, syscall.SIGKILL)
			<-svc.exited
		}
	}
}

// tail keeps the end of what a service says, for when it fails.
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
