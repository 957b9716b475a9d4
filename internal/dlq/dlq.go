// Package dlq is the escalation stream as a thing: the box that holds one letter per open question to people, dead
// letters among them.
//
// A letter is a summary, enough for a list and a notification. What it is about stands in the run's log, and only the
// log's fold says whether it is still open: nobody decides by what is in the box. So putting a letter in twice is
// once, and removing one that is not there is no error. The dispatcher puts and removes; everybody else reads.
//
// A dead letter is about a message that no program can read. It keeps the raw bytes, because nothing else can be said
// about it for sure.
package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// ErrNoLetter says that the box holds no letter with this id.
var ErrNoLetter = errors.New("no such escalation")

// Letter is what the box holds about one escalation.
type Letter struct {
	steps.EscalationView
	Origin *Origin `json:"origin,omitempty"` // of a dead letter
}

// Origin is the unreadable message that a dead letter is about. The message itself stays where it was.
type Origin struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"sequence"`
	Size     int    `json:"size"`
	Raw      []byte `json:"raw"` // its bytes, or the first maxRaw of them
}

// maxRaw bounds the bytes that a dead letter copies, so that it always fits into one message itself.
const maxRaw = 256 << 10

// Box is the escalation stream. It is safe for concurrent use.
type Box struct {
	bus   *bus.Bus
	names wire.Names

	mu    sync.Mutex
	known map[string]Letter // by subject, at mark
	mark  bus.Mark
	last  uint64 // of the letters that were read

	doubts sync.Map // subjects of letters that were put without an answer
}

// New makes a Box on a connected bus.
func New(b *bus.Bus) *Box { return &Box{bus: b, names: b.Names()} }

// Put stores a letter without waiting; done is called once. A letter that is there already is as good as stored.
func (x *Box) Put(l Letter, done func(error)) {
	body, err := x.encode(l)
	if err != nil {
		done(fmt.Errorf("encode escalation %s: %w", l.ID, err))
		return
	}
	m := bus.Message{Subject: x.Subject(l.EscalationView), Header: map[string][]string{wire.HeaderRun: {l.Run}}, Data: body}
	x.bus.Publish(x.names.EscalationsStream(), m, func(_ uint64, err error) {
		switch _, doubt := x.doubts.Load(m.Subject); {
		case errors.Is(err, bus.ErrUncertain):
			x.doubts.Store(m.Subject, true)
		case errors.Is(err, bus.ErrQueued) && doubt:
			go x.replace(m, done)
			return
		case errors.Is(err, bus.ErrQueued):
			err = nil
		case err == nil && doubt:
			x.doubts.Delete(m.Subject)
		}
		done(err)
	})
}

// replaceTime bounds the removal of a letter that is to be put anew.
const replaceTime = 10 * time.Second

// replace puts a letter anew that is there, but was never confirmed: it may stand in the memory of a server whose disk
// fails, and its subject takes no second one.
func (x *Box) replace(m bus.Message, done func(error)) {
	ctx, cancel := context.WithTimeout(context.Background(), replaceTime)
	defer cancel()
	if err := x.bus.Purge(ctx, x.names.EscalationsStream(), m.Subject); err != nil {
		done(fmt.Errorf("put a letter anew that was not confirmed: %w", err))
		return
	}
	x.bus.Publish(x.names.EscalationsStream(), m, func(_ uint64, err error) {
		if err == nil || errors.Is(err, bus.ErrQueued) { // somebody else has put it since it was removed, and hears how that went
			x.doubts.Delete(m.Subject)
			err = nil
		}
		done(err)
	})
}

// besideBody is more than the subject and the headers of a letter take.
const besideBody = 1 << 10

// encode writes a letter down, cut where it is larger than the server takes: a letter that asks something must arrive, and
// what it is about stands in the log.
func (x *Box) encode(l Letter) ([]byte, error) {
	most := int(x.bus.MaxPayload()) - besideBody
	body, err := json.Marshal(stored{wire.Version, l})
	if err != nil || len(body) <= most {
		return body, err
	}
	if o := l.Origin; o != nil {
		cut := *o
		cut.Raw = o.Raw[:min(len(o.Raw), most/4)]
		l.Origin = &cut
	}
	l.Message, l.Target, l.Decision = head(l.Message, 1000), head(l.Target, 200), nil
	return json.Marshal(stored{wire.Version, l})
}

// head is the beginning of a text.
func head(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

type stored struct {
	V int `json:"v"`
	Letter
}

// Await waits until the letter of an escalation is stored, or ctx ends. The run's log has an escalation first; its letter
// follows, once a dispatcher has read the log. One that is decided meanwhile may never have a letter.
func (x *Box) Await(ctx context.Context, v steps.EscalationView) error {
	follow, found := context.WithCancel(ctx)
	defer found()
	look := func() (ok bool, err error) {
		_, ok, err = x.bus.Last(ctx, x.names.EscalationsStream(), x.Subject(v))
		return ok, err
	}
	if ok, err := look(); ok || err != nil {
		return err
	}
	var err error
	ready := func() { // it may have come before anything new was followed
		ok, failed := look()
		if err = failed; ok || failed != nil {
			found()
		}
	}
	followed := x.bus.FollowNew(follow, x.names.EscalationsStream(), x.Subject(v), ready, func(bus.Entry) { found() })
	return errors.Join(followed, err)
}

// Subject is where a letter is kept.
func (x *Box) Subject(v steps.EscalationView) string { return x.names.Escalation(v.Kind, v.Tool, v.ID) }

// DeadLetter makes the letter about an unreadable entry of a run's log. The verbs are all that can be done: skip
// discards the entry, retry reads it again (after an upgrade).
func DeadLetter(id, run string, e bus.Entry, why error) Letter {
	return Letter{
		EscalationView: steps.EscalationView{
			ID: id, Kind: steps.KindDeadLetter, State: steps.EscalationOpen, Run: run, Message: why.Error(),
			Opened: e.Time.UTC(), Allowed: []steps.Verb{steps.VerbRetry, steps.VerbSkip},
		},
		Origin: &Origin{Subject: e.Subject, Sequence: e.Seq, Size: len(e.Data), Raw: e.Data[:min(len(e.Data), maxRaw)]},
	}
}

// Remove takes a letter out. One that is not there is no error.
func (x *Box) Remove(ctx context.Context, v steps.EscalationView) error {
	if err := x.bus.Purge(ctx, x.names.EscalationsStream(), x.Subject(v)); err != nil {
		return fmt.Errorf("remove escalation %s: %w", v.ID, err)
	}
	return nil
}

// IDs lists the letters by what their subjects tell, without reading one: id, kind and tool.
func (x *Box) IDs(ctx context.Context) ([]steps.EscalationView, error) {
	subjects, err := x.bus.Subjects(ctx, x.names.EscalationsStream(), x.names.EscalationsSubjects())
	if err != nil {
		return nil, fmt.Errorf("list escalations: %w", err)
	}
	var list []steps.EscalationView
	for _, s := range subjects {
		if kind, tool, id, ok := x.names.ParseEscalation(s); ok {
			list = append(list, steps.EscalationView{ID: id, Kind: kind, Tool: tool})
		}
	}
	return list, nil
}

// Get reads the letter with this id.
func (x *Box) Get(ctx context.Context, id string) (Letter, error) {
	if id == "" || strings.ContainsAny(id, ".*> \t\r\n") {
		return Letter{}, fmt.Errorf("%w: %q is no escalation's id", ErrNoLetter, id)
	}
	subjects, err := x.bus.Subjects(ctx, x.names.EscalationsStream(), x.names.Escalation("*", "*", id))
	if err != nil {
		return Letter{}, fmt.Errorf("look for escalation %s: %w", id, err)
	}
	for _, s := range subjects {
		kind, tool, _, _ := x.names.ParseEscalation(s)
		l, err := x.read(ctx, steps.EscalationView{ID: id, Kind: kind, Tool: tool})
		if err != nil || l.ID != "" {
			return l, err
		}
	}
	return Letter{}, fmt.Errorf("%w: %s; it may be decided already: the run's history shows it", ErrNoLetter, id)
}

// read gives an empty letter when it is gone.
func (x *Box) read(ctx context.Context, v steps.EscalationView) (Letter, error) {
	e, ok, err := x.bus.Last(ctx, x.names.EscalationsStream(), x.Subject(v))
	if err != nil || !ok {
		return Letter{}, err
	}
	return x.letter(e), nil
}

// noTool is what a subject says in place of the tool of an escalation without one.
const noTool = "none"
