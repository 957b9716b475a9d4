package tally

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/bus"
)

// mostAnchors is how many entries a line of [Keeper.State] has.
const mostAnchors = 8

// State says of each partition what the tally has, in a line: its number, when its stream was made, up to which sequence it was noted,
// and of the last entries their sequences and leaves. It is signed with the checkpoints of the audit trail: where the store and
// the tally have gone back together, whoever has a checkpoint finds that, see [Against].
func (k *Keeper) State(ctx context.Context) (lines []string, err error) {
	for _, t := range k.parts {
		h, there, err := k.shelf.head(ctx, t.p)
		if err != nil {
			return nil, err
		}
		if !there || h.UpTo == 0 {
			continue
		}
		number, at := pageOf(h.UpTo)
		l, err := k.shelf.page(ctx, t.p, number)
		if err != nil {
			return nil, err
		}
		line := fmt.Sprintf("%d %d %d", t.p, h.Created.UnixNano(), h.UpTo)
		for n := at; l != nil && n >= max(0, at-4*mostAnchors) && strings.Count(line, ":") < mostAnchors; n-- {
			if l[n] != (leaf{}) {
				line += fmt.Sprintf(" %d:%x", number*page+uint64(n)+1, l[n])
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// Against compares the log with what a checkpoint that was signed at a time says of it, and returns what does not fit. Entries that
// are gone may have been removed with their runs.
func Against(ctx context.Context, b *bus.Bus, lines []string, signed time.Time) (faults []string, err error) {
	for _, line := range lines {
		a, err := readAnchors(line)
		if err != nil {
			return nil, err
		}
		if a.p >= b.Partitions() {
			faults = append(faults, fmt.Sprintf("the log has %d partitions, and the checkpoint of %s is about partition %d too", b.Partitions(), at(signed), a.p))
			continue
		}
		found, err := a.compare(ctx, b, signed)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	return faults, nil
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// anchors are what a line says.
type anchors struct {
	p    int
	upTo uint64
	of   map[uint64]leaf
}

func readAnchors(line string) (a anchors, err error) {
	bad := fmt.Errorf("the checkpoint's line about the log cannot be read: %q", line)
	words := strings.Fields(line)
	if len(words) < 3 {
		return a, bad
	}
	if a.p, err = strconv.Atoi(words[0]); err != nil || a.p < 0 {
		return a, bad
	}
	if a.upTo, err = strconv.ParseUint(words[2], 10, 64); err != nil {
		return a, bad
	}
	a.of = map[uint64]leaf{}
	for _, w := range words[3:] {
		number, text, _ := strings.Cut(w, ":")
		seq, wrong := strconv.ParseUint(number, 10, 64)
		b, err := hex.DecodeString(text)
		if wrong != nil || err != nil || len(b) != leafBytes {
			return a, bad
		}
		a.of[seq] = leaf(b)
	}
	return a, nil
}

func (a *anchors) compare(ctx context.Context, b *bus.Bus, signed time.Time) (faults []string, err error) {
	names := b.Names()
	stream := names.RunsStream(a.p)
	info, err := b.About(ctx, stream)
	if err != nil {
		return nil, err
	}
	if info.LastSeq < a.upTo {
		faults = append(faults, fmt.Sprintf("partition %d of the log has gone back: it ends at sequence %d, and went to %d when the checkpoint of %s was signed", a.p, info.LastSeq, a.upTo, at(signed)))
	}
	var others []uint64
	for seq, was := range a.of {
		e, there, err := b.At(ctx, stream, seq)
		if err != nil {
			return nil, err
		}
		if there && leafOf(names, e) != was {
			others = append(others, seq)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		faults = append(faults, fmt.Sprintf("partition %d of the log has gone back, and on: %s from sequence %d on other than when the checkpoint of %s was signed", a.p, plural(len(others), "entry is", "entries are"), others[0], at(signed)))
	}
	return faults, nil
}
