// Command belaypeer is Belay through its public package alone: a client that
// submits and waits, and a worker with one Go handler. With -deploy embedded
// everything is in this process (package belay/embedded, full sync); with
// -deploy split the server, a `dispatcher serve` and this worker and client are
// three processes, as its users run it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"belay"
	"belay/embedded"
	"belay/worker"

	"peerbench/internal/harness"
	"peerbench/internal/servers"
)

var (
	deploy     = flag.String("deploy", "embedded", "embedded or split")
	sync_      = flag.String("sync", "always", "split: always or interval")
	dispatcher = flag.String("dispatcher", "", "split: the dispatcher's binary (default: beside this one)")
	done       = flag.String("done", "wait", "wait: Run.Wait tells that a run is over; handler: the last step's handler does (not stored yet), which leaves out what Wait costs")
	batch      = flag.Int("batch", 1, "jobs: how many runs one SubmitMany submits")
)

type peer struct {
	b      *harness.Bench
	client *belay.Client
	plan   *belay.Plan
	stop   func()
	wg     sync.WaitGroup
}

type payload struct {
	Data string `json:"data"`
}

func main() { harness.Main("belay", open) }

const toolsText = `
tools:
  bench.step:
    effects: none
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 3, initial: 1ms, factor: 1}}
`

func planText(steps int) string {
	var s strings.Builder
	s.WriteString("name: bench\ninput: {data: \"\"}\nsteps:\n")
	from := "input.data"
	for i := range steps {
		fmt.Fprintf(&s, "  - {id: s%d, tool: bench.step, with: {data: \"${ %s }\"}}\n", i, from)
		from = fmt.Sprintf("steps.s%d.output.data", i)
	}
	fmt.Fprintf(&s, "output: \"${ %s }\"\n", from)
	return s.String()
}

func open(ctx context.Context, b *harness.Bench) (harness.Driver, error) {
	tools, err := belay.ParseTools("tools.yaml", []byte(toolsText))
	if err != nil {
		return nil, err
	}
	p := &peer{b: b}
	if p.plan, err = belay.ParsePlan("bench.yaml", []byte(planText(b.Steps)), tools); err != nil {
		return nil, err
	}
	step := belay.Handle("bench.step", func(ctx context.Context, in payload) (payload, error) {
		out, err := b.Step(in.Data)
		if err != nil {
			if errors.Is(err, harness.ErrFailOnce) {
				return payload{}, belay.TryAgain(err)
			}
			return payload{}, err
		}
		if *done == "handler" && b.Last(out) {
			b.Done(out)
		}
		return payload{out}, nil
	})
	dir, err := servers.TempDir("belay")
	if err != nil {
		return nil, err
	}
	if *deploy == "embedded" {
		p.client, err = embedded.Open(ctx, dir, embedded.Options{Tools: tools, Handlers: []belay.Handler{step}})
		if err != nil {
			return nil, err
		}
		p.stop = p.client.Close
	} else if err := p.split(ctx, dir, tools, step); err != nil {
		return nil, err
	}
	if *batch > 1 {
		b.JobsEnqueue(2, *batch) // as River's rows enqueue
	} else {
		b.JobsEnqueue(64, 1)
	}
	return p, nil
}

func (p *peer) split(ctx context.Context, dir string, tools *belay.Tools, step belay.Handler) error {
	srv, err := servers.NATS(*sync_)
	if err != nil {
		return err
	}
	bin := *dispatcher
	if bin == "" {
		self, _ := os.Executable()
		bin = filepath.Join(filepath.Dir(self), "dispatcher")
	}
	log, err := os.Create(filepath.Join(dir, "dispatcher.log"))
	if err != nil {
		return err
	}
	cmd := exec.Command(bin, "serve", "--server", srv.URL, "--data-dir", filepath.Join(dir, "data"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err
	}
	harness.AtExit(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	p.b.ServerPIDs = append(srv.PIDs(), cmd.Process.Pid)
	nats := belay.NATS{Server: srv.URL}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		p.client, err = belay.Open(ctx, belay.Options{NATS: nats})
		if err == nil {
			break
		}
		if time.Now().After(end) {
			raw, _ := os.ReadFile(log.Name())
			return fmt.Errorf("no dispatcher: %w: %s", err, raw)
		}
	}
	wctx, cancel := context.WithCancel(ctx)
	worked := make(chan error, 1)
	go func() {
		worked <- worker.Run(wctx, worker.Options{NATS: nats, Tools: tools, Concurrency: p.b.Concurrency}, step)
	}()
	p.stop = func() { p.client.Close(); cancel(); <-worked }
	return nil
}

func (p *peer) Durable() string {
	if *deploy == "embedded" {
		return "embedded store, full sync (the default)"
	}
	return "nats-server, sync " + *sync_ + "; dispatcher serve; " + *done
}

func (p *peer) Submit(ctx context.Context, ids []int) error {
	all := make([]belay.Submission, len(ids))
	for i, id := range ids {
		all[i] = belay.Submission{ID: fmt.Sprintf("b%d", id), Input: payload{harness.Payload(id)}}
	}
	runs, err := p.client.SubmitMany(ctx, p.plan, all)
	if err != nil {
		return err
	}
	if *done != "wait" {
		return nil
	}
	for _, run := range runs {
		p.wg.Go(func() { p.wait(ctx, run) })
	}
	return nil
}

func (p *peer) wait(ctx context.Context, run *belay.Run) {
	doc, err := run.Wait(ctx)
	if err != nil {
		p.b.Note("wait_error", err.Error())
		return
	}
	out, err := belay.Output[string](doc)
	if err != nil {
		p.b.Note("output_error", err.Error())
		return
	}
	p.b.Done(out)
}

func (p *peer) Close() { p.wg.Wait(); p.stop() }
