package belay_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"belay"
	"belay/embedded"
)

// A tool in Go fails, is tried again, and gives its result: the run never knew.
func Example() {
	type order struct {
		ID string `json:"order"`
	}
	type found struct {
		Total int `json:"total"`
	}
	lookup := belay.Handle("orders.lookup", func(ctx context.Context, in order) (found, error) {
		if try := belay.Info(ctx).Try; try < 3 {
			fmt.Println("try", try, "of", in.ID, "failed")
			return found{}, belay.TryAgain(errors.New("the order service is restarting"))
		}
		return found{Total: 42}, nil
	})

	ctx := context.Background()
	dir, err := os.MkdirTemp("", "belay")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	tools, err := belay.ParseTools("tools.yaml", []byte(`
tools:
  orders.lookup:
    effects: none
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 3, initial: 1ms}}
`))
	if err != nil {
		panic(err)
	}
	plan, err := belay.ParsePlan("plan.yaml", []byte(`
name: total
input: {order: A-1}
steps:
  - {id: lookup, tool: orders.lookup, with: {order: "${ input.order }"}}
output: "${ steps.lookup.output }"
`), tools)
	if err != nil {
		panic(err)
	}
	client, err := embedded.Open(ctx, dir, embedded.Options{Tools: tools, Handlers: []belay.Handler{lookup}})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	run, err := client.Submit(ctx, plan, belay.Submission{ID: "total-A-1009", Input: order{"A-1009"}})
	if err != nil {
		panic(err)
	}
	doc, err := run.Wait(ctx)
	if err != nil {
		panic(err)
	}
	total, err := belay.Output[found](doc)
	if err != nil {
		panic(err)
	}
	fmt.Println(doc.State, total.Total)
	// Output:
	// try 1 of A-1009 failed
	// try 2 of A-1009 failed
	// succeeded 42
}
