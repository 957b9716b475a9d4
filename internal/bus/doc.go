// Package bus is a thin layer over JetStream: a connection, the streams and consumers of [belay/internal/wire], a
// group-commit publisher, reading and consuming, key-value buckets, leases in them ([Lease]), and the presence of workers
// and dispatchers. It decides nothing; its errors translate the server's answers into terms that callers can act on
// ([ErrConflict], [ErrQueued], [ErrFull], [ErrUncertain], [ErrTooLarge]). The server in the process is bus/embedded.
//
// # Ordering
//
//   - [Bus.Publish] stores the messages of one stream in the order of the calls, and calls done only after the server has
//     confirmed the write. So an ack in done comes after the publish.
//   - A consumer has a [Delivery] in hand until it is acknowledged or parked, or its ack wait passes. Acks have no answer:
//     one that is lost causes a redelivery, whose handler must find that its work is stored.
//   - A pinned consumer ([Bus.ConsumeLog]) steers load. It excludes nobody: only a write with [Message.Expect] does.
//
// # Readable is not stored
//
// A server whose disk fails does not answer a publish ([ErrUncertain]), and still serves the message to readers from its
// memory; after a crash it is gone. So a read never proves that one's own write succeeded. An uncertain write is repeated
// until one is confirmed. An event is repeated on its own subject; the fold ignores the second one. What only the first
// writer may write (a claim, a submission) is appended after one's own earlier message, by naming its sequence in
// [Message.Expect]. A confirmed write also proves all earlier writes to the stream, unless the store was reopened in
// between. Nobody needs to know whether it was: the repeated write has the same content, and is enough on its own.
//
// # Reading order
//
// connect.go (the connection), setup.go and topology.go (what must exist), publish.go and publisher.go (how messages get
// there), consume.go, consumption.go and pull.go (how they are delivered), read.go and follow.go (how they are read),
// queue.go (the step queue in memory), timer.go, bucket.go and lease.go, presence_worker.go.
package bus
