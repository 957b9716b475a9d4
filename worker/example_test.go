package worker_test

import (
	"context"
	"errors"

	"belay"
	"belay/worker"
)

type invoice struct {
	Cents []int `json:"cents"`
}

// A whole worker program: `go run . --tools tools.yaml`, with all flags of the stock worker.
func ExampleMain() {
	worker.Main(belay.Handle("invoice.add", func(ctx context.Context, in invoice) (total int, err error) {
		for i, c := range in.Cents {
			belay.Progress(ctx, "line %d of %d", i+1, len(in.Cents))
			if c < 0 {
				return 0, belay.NeedHuman(errors.New("it has a credit in it"))
			}
			total += c
		}
		return total, nil
	}))
}
