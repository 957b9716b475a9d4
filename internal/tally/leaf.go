package tally

import (
	"crypto/sha256"
	"encoding/binary"

	"belay/internal/bus"
	"belay/internal/wire"
)

// leaf is what is known of one entry: eight bytes of a digest of what it says, and eight of one of the run that it belongs to.
// The zero leaf is an entry that need not be there: it was removed, or there has never been one.
type leaf [16]byte

// leafOf is the leaf of an entry. What the server adds to its headers is not part of it.
func leafOf(names wire.Names, e bus.Entry) (l leaf) {
	h := sha256.New()
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(e.Time.UnixNano()))
	h.Write(at[:])
	h.Write([]byte(e.Subject))
	for _, key := range []string{wire.HeaderAct, wire.HeaderRemoved} {
		h.Write([]byte{0})
		for _, v := range e.Header[key] {
			h.Write([]byte(v))
		}
	}
	h.Write([]byte{0})
	h.Write(e.Data)
	var sum [sha256.Size]byte
	copy(l[:8], h.Sum(sum[:0]))
	run := ownerOf(runOf(names, e.Subject))
	copy(l[8:], run[:])
	return l
}

// runOf is the run that a subject of the log is about; a subject that names none stands for itself.
func runOf(names wire.Names, subject string) string {
	if run, ok := names.LogRun(subject); ok {
		return run
	}
	return subject
}

// owner is how a leaf names a run.
type owner [8]byte

func ownerOf(run string) owner { return owner(firstEight(sha256.Sum256([]byte(run)))) }

func firstEight(sum [sha256.Size]byte) (b [8]byte) {
	copy(b[:], sum[:])
	return b
}

func (l leaf) owner() owner { return owner(l[8:]) }
