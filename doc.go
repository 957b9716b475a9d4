// Package belay is how Go programs use Belay: tools written in Go, runs started and followed, escalations decided.
//
// A tool is a function. Register it under the name that it has in the tools file, whose rung says `go: {}`, and build it
// into a worker of your own:
//
//	func main() {
//		belay.Main(belay.Handle("orders.lookup", func(ctx context.Context, in Order) (Found, error) {
//			return find(ctx, in.ID)
//		}))
//	}
//
// [Main] is the stock worker with these handlers: all its flags, its settings, its metrics, its draining. [RunWorker] is
// the same as a function, for a program that does other things too.
//
// How a tool fails decides what happens next. A plain error may have had its effect, and is not repeated. [Permanent],
// [TryAgain], [RetryAfter] and [NeedHuman] say more; [NothingHappened] says that it is safe to repeat. A panic is a
// fault like any other. The context ends at the attempt's deadline and when the run is cancelled: return soon after.
//
// A [Client] starts and follows runs, against a NATS server or with a server, a dispatcher and a worker of its own in
// this process.
package belay
