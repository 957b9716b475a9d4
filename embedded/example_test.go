package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"belay"
	"belay/embedded"
)

// Everything in one process and one folder. The tool fails twice before it answers; the run reaches its end all the same.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "belay") // a real program keeps it: runs go on from there
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
name: lookup
steps:
  - {id: lookup, tool: orders.lookup, with: {order: A-1009}}
output: "${ steps.lookup.output }"
`), tools)
	if err != nil {
		panic(err)
	}
	lookup := belay.Handle("orders.lookup", func(ctx context.Context, in map[string]string) (string, error) {
		if belay.Info(ctx).Try < 3 {
			return "", belay.TryAgain(errors.New("the shop is restarting"))
		}
		return in["order"] + " is paid", nil
	})

	ctx := context.Background()
	client, err := embedded.Open(ctx, dir, embedded.Options{Tools: tools, Handlers: []belay.Handler{lookup}})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	run, err := client.Submit(ctx, plan, belay.Submission{})
	if err != nil {
		panic(err)
	}
	doc, err := run.Wait(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(doc.State, string(doc.Output), len(doc.Steps[0].Attempts))
	// Output:
	// succeeded "A-1009 is paid" 3
}
