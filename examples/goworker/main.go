// Command goworker is a worker with a tool written in Go:
//
//	go run ./cmd/dispatcher dev --no-worker                                # in one terminal
//	go run ./examples/goworker --tools examples/goworker/tools.yaml        # in another, as often as you like
//	go run ./cmd/dispatcher run examples/goworker/plan.yaml                # in a third
package main

import (
	"context"
	"fmt"

	"belay"
	"belay/worker"
)

type invoice struct {
	Number string
	Lines  []struct{ Cents int }
}

type total struct {
	Cents int    `json:"cents"`
	Key   string `json:"key"`
}

func add(ctx context.Context, in invoice) (total, error) {
	t := total{Key: belay.Info(ctx).Key} // pass it on to the service that acts
	for i, l := range in.Lines {
		belay.Progress(ctx, "line %d of %d", i+1, len(in.Lines))
		if l.Cents < 0 {
			return t, belay.NeedHuman(fmt.Errorf("line %d of invoice %s is a credit of %d cents", i+1, in.Number, -l.Cents))
		}
		t.Cents += l.Cents
	}
	return t, nil
}

func main() {
	worker.Main(belay.Handle("invoice.add", add))
}
