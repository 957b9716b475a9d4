package bus

import (
	"sync"
	"time"
)

// proofs are up to where streams are known to be stored: an acknowledged write proves that what was readable before it is on
// disk, as long as the store is not opened anew.
type proofs struct {
	mu sync.Mutex
	of map[string]Proof // of the streams that somebody has asked about
}

// Proof is up to where a stream is stored, as this process was told over one connection.
type Proof struct {
	Seq  uint64    // 0 = nothing was told yet
	Conn time.Time // [Bus.ConnectedAt] of the connection
}

// Stored is up to where a stream is known to be stored: what was published to it over the present connection, since the first
// call for that stream, has been confirmed up to there.
func (b *Bus) Stored(stream string) Proof {
	conn := b.ConnectedAt()
	b.proofs.mu.Lock()
	defer b.proofs.mu.Unlock()
	p, asked := b.proofs.of[stream]
	if asked && p.Conn.Equal(conn) {
		return p
	}
	if b.proofs.of == nil {
		b.proofs.of = map[string]Proof{}
	}
	b.proofs.of[stream] = Proof{Conn: conn}
	return b.proofs.of[stream]
}

// confirmed notes that a message that was sent over a connection is stored.
func (b *Bus) confirmed(stream string, seq uint64, conn time.Time) {
	b.proofs.mu.Lock()
	defer b.proofs.mu.Unlock()
	if p, asked := b.proofs.of[stream]; asked && p.Conn.Equal(conn) && seq > p.Seq {
		b.proofs.of[stream] = Proof{seq, conn}
	}
}
