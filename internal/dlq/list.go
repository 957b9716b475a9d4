package dlq

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// List gives all letters, the oldest first. A Box remembers them, and reads only what has changed since it was asked
// last: the letters may be many, and people look often.
func (x *Box) List(ctx context.Context) ([]Letter, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.refresh(ctx); err != nil {
		return nil, fmt.Errorf("list escalations: %w", err)
	}
	list := make([]Letter, 0, len(x.known))
	for _, l := range x.known {
		if l.ID != "" { // else its subject is none of a letter; the dispatcher writes one about it
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b Letter) int { return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// refresh brings what is known up to date.
func (x *Box) refresh(ctx context.Context) error {
	mark, err := x.bus.Mark(ctx, x.names.EscalationsStream())
	if err != nil || mark == x.mark && x.known != nil {
		return err
	}
	if x.known == nil || mark.Last < x.last { // never read, or another stream than it was
		x.known, x.last = map[string]Letter{}, 0
	}
	entries, err := x.bus.ReadSubject(ctx, x.names.EscalationsStream(), x.names.EscalationsSubjects(), x.last)
	if err != nil {
		return err
	}
	for _, e := range entries {
		x.known[e.Subject], x.last = x.letter(e), e.Seq
	}
	if uint64(len(x.known)) != mark.Messages {
		if err := x.dropRemoved(ctx); err != nil {
			return err
		}
	}
	x.mark = mark
	return nil
}

// dropRemoved forgets the letters that are not in the stream any more.
func (x *Box) dropRemoved(ctx context.Context) error {
	subjects, err := x.bus.Subjects(ctx, x.names.EscalationsStream(), x.names.EscalationsSubjects())
	if err != nil {
		return err
	}
	for s := range x.known {
		if _, there := slices.BinarySearch(subjects, s); !there {
			delete(x.known, s)
		}
	}
	return nil
}

// letter reads an entry. One that cannot be read says so: it must not hide the others, nor itself.
func (x *Box) letter(e bus.Entry) Letter {
	kind, tool, id, _ := x.names.ParseEscalation(e.Subject)
	v := steps.EscalationView{ID: id, Kind: kind, Tool: tool}
	var s stored
	if err := json.Unmarshal(e.Data, &s); err == nil && s.V == wire.Version && s.ID == id {
		return s.Letter
	}
	if v.Tool == noTool {
		v.Tool = ""
	}
	v.State, v.Opened, v.Allowed = steps.EscalationOpen, e.Time.UTC(), []steps.Verb{steps.VerbSkip}
	v.Message = "this letter cannot be read: it was written by another version of the program, or by nobody who should; show the run itself"
	return Letter{EscalationView: v, Origin: &Origin{Subject: e.Subject, Sequence: e.Seq, Size: len(e.Data), Raw: e.Data[:min(len(e.Data), maxRaw)]}}
}
