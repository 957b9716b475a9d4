// Package bus is thin hands on JetStream: a connection, an embedded server, the streams and consumers of
// [belay/internal/wire], a group-commit publisher, reading and consuming. It decides nothing; errors tell what the
// server said in four words that callers can act on ([ErrConflict], [ErrQueued], [ErrFull], [ErrUncertain]).
//
// Start with connect.go and server.go (where messages go), setup.go (what must exist), publish.go (how they get there),
// consume.go and read.go (how they come back), timer.go.
package bus
