// Command embedded runs all of Belay in one process: it starts a run in a store of its own, waits for its end and prints
// it.
//
//	go run ./examples/embedded
//
// The tool fails twice before it succeeds; the run succeeds all the same.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"belay"
	"belay/embedded"
)

const tools = `
tools:
  orders.lookup:
    effects: none
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 3, initial: 10ms}}
`

const plan = `
name: total
input: {order: A-1}
steps:
  - {id: lookup, tool: orders.lookup, with: {order: "${ input.order }"}}
output: "${ steps.lookup.output }"
`

type order struct {
	Order string `json:"order"`
}

type found struct {
	Cents int `json:"cents"`
}

func lookup(ctx context.Context, in order) (found, error) {
	if try := belay.Info(ctx).Try; try < 3 {
		return found{}, belay.TryAgain(errors.New("the order service is restarting"))
	}
	return found{Cents: 4200}, nil
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "belay") // a real program keeps this folder, so that runs go on from there
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tools, err := belay.ParseTools("tools.yaml", []byte(tools))
	if err != nil {
		return err
	}
	plan, err := belay.ParsePlan("plan.yaml", []byte(plan), tools)
	if err != nil {
		return err
	}
	client, err := embedded.Open(ctx, dir, embedded.Options{Tools: tools, Handlers: []belay.Handler{belay.Handle("orders.lookup", lookup)}})
	if err != nil {
		return err
	}
	defer client.Close()
	started, err := client.Submit(ctx, plan, belay.Submission{Input: order{"A-1009"}})
	if err != nil {
		return err
	}
	doc, err := started.Wait(ctx)
	if err != nil {
		return err
	}
	out, err := belay.Output[found](doc)
	if err != nil {
		return err
	}
	fmt.Println(doc.State, out.Cents)
	return nil
}
