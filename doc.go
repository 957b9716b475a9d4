// Package belay is the Go API of Belay: it submits, follows and cancels runs, decides escalations, and makes tools of
// functions.
//
// A [Client] works against the NATS server that `dispatcher serve` or `dispatcher dev` runs on:
//
//	client, err := belay.Open(ctx, belay.Options{NATS: belay.NATS{Server: "nats://127.0.0.1:4222"}})
//	run, err := client.Submit(ctx, plan, belay.Submission{ID: "refund-A-1009", Input: order})
//	doc, err := run.Wait(ctx)
//
// Submit returns once the run is stored. From then on the run reaches its end whatever fails, this program included.
//
// A client returns the types of package belay/belaytype. The other packages are for programs that do more:
//
//   - belay/worker: a worker that executes your own functions as tools, see [Handle]
//   - belay/embedded: server, dispatcher and worker in this process, and a client of them
//   - belay/belaytest: the same for tests, with tools that return what the test says
//
// This package links none of those. [Do] needs no server at all: it retries functions and falls back to others within
// this process, by the same rules, and is not durable.
package belay
