// Command natsworker is a worker that imports nothing of Belay: it uses plain NATS and JSON, as docs/protocol.md describes,
// and serves one tool that may be repeated and one that may not.
//
//	dispatcher dev --no-worker --nats-listen 127.0.0.1:4222
//	go run ./examples/natsworker -server nats://127.0.0.1:4222
//	dispatcher run examples/natsworker/plan.yaml --server nats://127.0.0.1:4222
//
// main.go has the tools, worker.go the protocol, log.go what a worker reads from the log of a run, submit.go starts a run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// tool does the work of a step. An error that is a *fault says more than its text.
type tool func(ctx context.Context, s step) (any, error)

var searched atomic.Int32

func main() {
	server := flag.String("server", "nats://127.0.0.1:4222", "NATS server")
	ledger := flag.String("ledger", "refunds.txt", "file that gets a line for each refund")
	name := flag.String("name", "natsworker", "name in the logs of runs; every process has another one")
	ackWait := flag.Duration("ack-wait", 30*time.Second, "how long a silent worker keeps a message; the same for all workers")
	pause := flag.Duration("pause", 0, "how long a refund takes once it is booked")
	run := flag.String("submit", "", "submit a run of this id instead of serving tools")
	document := flag.String("document", "", "what 'dispatcher lint PLAN --print' has printed, of the run to submit")
	input := flag.String("input", "{}", "the whole input of the run to submit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w, err := connect(ctx, *server, *name, *ackWait)
	if err != nil {
		log.Fatal(err)
	}
	defer w.nc.Close()
	if *run != "" {
		if err := w.submit(ctx, *run, *document, *input); err != nil {
			log.Fatal(err)
		}
		return
	}
	go w.serve(ctx, "notes.search", "primary", search)
	go w.serve(ctx, "payments.refund", "primary", refund(*ledger, *pause))
	<-ctx.Done()
	w.inHand.Wait() // attempts that have begun get an outcome
}

// search fails the first time, to show a retry.
func search(context.Context, step) (any, error) {
	if searched.Add(1) == 1 {
		return nil, &fault{Class: "unavailable", Acted: "no", Message: "the index is being rebuilt"}
	}
	return map[string]int{"notes": 3}, nil
}

// refund must not happen twice.
func refund(ledger string, pause time.Duration) tool {
	return func(ctx context.Context, s step) (any, error) {
		var in struct {
			Order string `json:"order"`
			Cents int    `json:"cents"`
		}
		if err := json.Unmarshal(s.Params, &in); err != nil {
			return nil, &fault{Class: "invalid_input", Acted: "no", Message: err.Error()}
		}
		f, err := os.OpenFile(ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, &fault{Class: "unavailable", Acted: "no", Message: err.Error()}
		}
		defer f.Close()
		if _, err := fmt.Fprintln(f, s.Key, in.Order, in.Cents); err != nil {
			return nil, err // it may have happened
		}
		fmt.Println("refunded", s.Key)
		select {
		case <-time.After(pause):
			return map[string]int{"refunded": in.Cents}, nil
		case <-ctx.Done():
			return nil, ctx.Err() // timeout, or stopped
		}
	}
}
