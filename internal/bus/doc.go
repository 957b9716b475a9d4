// Package bus is thin hands on JetStream: a connection, an embedded server, the streams and consumers of
// [belay/internal/wire], a group-commit publisher, reading and consuming. It decides nothing; errors tell what the
// server said in words that callers can act on ([ErrConflict], [ErrQueued], [ErrFull], [ErrUncertain], [ErrTooLarge]).
//
// # Readable is not stored
//
// A server whose disk fails answers a publish with silence ([ErrUncertain]), and gives the message to readers all the
// same, from its memory; after a crash it is gone. So nobody concludes from a read that their own write succeeded. What
// was uncertain is written again until a write is confirmed: an event on its own subject, which the fold ignores the
// second time; what only the first may write (a claim, a submission) behind its own earlier message, by naming that
// one's sequence in [Message.Expect]. A confirmed write also proves what was written to the stream before it, as long as
// the store was not opened anew in between; as a new write of the same content stands by itself, nobody needs to know
// whether it was.
//
// Start with connect.go and server.go (where messages go), setup.go (what must exist), publish.go (how they get there),
// consume.go and read.go (how they come back), timer.go.
package bus
