package tally

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// page is how many leaves are kept together, and pageBytes how long they are with their checksum.
const (
	page      = 1024
	leafBytes = len(leaf{})
	pageBytes = page*leafBytes + 4
)

// pageOf is the page that has the leaf of a sequence, and where it stands there.
func pageOf(seq uint64) (number uint64, at int) { return (seq - 1) / page, int((seq - 1) % page) }

// head says of which log the leaves are, and how far they go.
type head struct {
	V       int       `json:"v"`
	Stream  string    `json:"stream"`
	Created time.Time `json:"created"`        // when the stream was made: another one has other entries
	UpTo    uint64    `json:"up_to"`          // the last sequence that has been noted
	Live    uint64    `json:"live"`           // entries up to it that must be there
	Boot    string    `json:"boot,omitempty"` // of the machine, while a process keeps it; empty: the last one has ended well
	Whole   time.Time `json:"whole,omitzero"` // when a scrub that found all of it there began
}

const version = 1

// leaves are those of one page.
type leaves [page]leaf

func (l *leaves) encode() []byte {
	b := make([]byte, 0, pageBytes)
	for i := range l {
		b = append(b, l[i][:]...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readLeaves is the reverse of encode; nil where the bytes are not whole.
func readLeaves(b []byte) *leaves {
	if len(b) != pageBytes || crc32.Checksum(b[:page*leafBytes], castagnoli) != binary.LittleEndian.Uint32(b[page*leafBytes:]) {
		return nil
	}
	l := new(leaves)
	for i := range l {
		l[i] = leaf(b[i*leafBytes:])
	}
	return l
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// book has the leaves of a partition. Pages that were changed stay in memory until they are stored; of the others a few do.
type book struct {
	head
	pages map[uint64]*leaves
	dirty map[uint64]bool // not yet in the file
	unput map[uint64]bool // not yet in the bucket
	read  func(number uint64) (*leaves, error)
}

// keptPages is how many pages stay in memory although they are stored.
const keptPages = 16

func newBook(h head, read func(uint64) (*leaves, error)) *book {
	return &book{head: h, pages: map[uint64]*leaves{}, dirty: map[uint64]bool{}, unput: map[uint64]bool{}, read: read}
}

func (b *book) page(number uint64) (*leaves, error) {
	if l := b.pages[number]; l != nil {
		return l, nil
	}
	l, err := b.read(number)
	if err != nil {
		return nil, err
	}
	if l == nil {
		l = new(leaves)
	}
	b.forget()
	b.pages[number] = l
	return l, nil
}

// forget drops a page that is stored, if there are many.
func (b *book) forget() {
	if len(b.pages) < keptPages {
		return
	}
	for n := range b.pages {
		if !b.dirty[n] && !b.unput[n] {
			delete(b.pages, n)
			return
		}
	}
}

// at is the leaf of a sequence that has been noted.
func (b *book) at(seq uint64) (leaf, error) {
	number, i := pageOf(seq)
	l, err := b.page(number)
	if err != nil {
		return leaf{}, err
	}
	return l[i], nil
}

// set changes the leaf of a sequence.
func (b *book) set(seq uint64, to leaf) error {
	number, i := pageOf(seq)
	l, err := b.page(number)
	if err != nil {
		return err
	}
	none := leaf{}
	if l[i] != none && seq <= b.UpTo {
		b.Live--
	}
	if to != none {
		b.Live++
	}
	l[i] = to
	b.dirty[number], b.unput[number] = true, true
	return nil
}

// add notes the next leaf. There is no entry for those between.
func (b *book) add(seq uint64, l leaf) error {
	if start := seq - 1 - (seq-1)%page; start > b.UpTo+page { // whole pages of what was removed long ago are nowhere
		b.UpTo = start
	}
	for none := (leaf{}); b.UpTo+1 < seq; {
		if err := b.set(b.UpTo+1, none); err != nil {
			return err
		}
		b.UpTo++
	}
	if err := b.set(seq, l); err != nil {
		return err
	}
	b.UpTo = seq
	return nil
}

// cut forgets all leaves behind a sequence, because the log does not go on there as it did.
func (b *book) cut(after uint64) error {
	for seq := after + 1; seq <= b.UpTo; seq++ {
		if err := b.set(seq, leaf{}); err != nil {
			return err
		}
	}
	b.UpTo = min(b.UpTo, after)
	return nil
}

// recount counts the entries that must be there.
func (b *book) recount() error {
	b.Live = 0
	for seq := uint64(1); seq <= b.UpTo; seq++ {
		l, err := b.at(seq)
		if err != nil {
			return err
		}
		if l != (leaf{}) {
			b.Live++
		}
	}
	return nil
}
