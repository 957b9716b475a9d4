// Package dlq is the stream of escalations: one entry per open question to people, dead letters among them.
//
// An entry is a summary, enough for a list and a notice. What is in question is in the run's log, and only the fold of
// that log says whether it is still open: no decision relies on this stream. So it does no harm to put an entry twice,
// or to remove one that is not there. The dispatcher puts and removes entries; everybody else only reads them.
//
// A dead letter is the entry about a message that cannot be read. It keeps the raw bytes, because nothing else is
// certain.
//
// Start with dlq.go ([Queue.Put], [Queue.Remove], [Queue.Get]), then list.go ([Queue.List], which people call often).
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
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// ErrNotFound says that the stream has no entry with this id.
var ErrNotFound = errors.New("no such escalation")

// Entry is the message on the stream about one escalation.
type Entry struct {
	view.Escalation
	Origin *Origin `json:"origin,omitempty"` // the message that a dead letter is about; nil for other kinds
}

// Origin is the unreadable message that a dead letter is about. The message itself stays where it is.
type Origin struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"sequence"` // in the stream of Subject
	Size     int    `json:"size"`     // of the whole message, in bytes
	Raw      []byte `json:"raw"`      // its bytes, at most the first 256 KiB
}

// maxRaw is how many bytes of the unreadable message a dead letter copies, so that it fits into a message itself.
const maxRaw = 256 << 10

// Queue is the stream of escalations. It is safe for concurrent use.
//
// Ordering: the dispatcher acknowledges an event only after the entries that it leads to are stored (when [Queue.Put]
// calls done), and removes an entry only after its Put has been answered.
type Queue struct {
	bus   *bus.Bus
	names wire.Names

	mu    sync.Mutex
	known map[string]Entry // what List has read, by subject, as of mark
	mark  bus.Mark
	last  uint64    // sequence of the newest entry that was read
	conn  time.Time // when the connection was made over which it was read

	doubts sync.Map // subjects of entries whose Put the server did not answer
}

// New makes a Queue on a connected bus.
func New(b *bus.Bus) *Queue { return &Queue{bus: b, names: b.Names()} }

// Put stores an entry without waiting; done is called once, from another goroutine. If there is an entry already, that
// counts as stored.
func (q *Queue) Put(l Entry, done func(error)) {
	body, err := q.encode(l)
	if err != nil {
		done(fmt.Errorf("encode escalation %s: %w", l.ID, err))
		return
	}
	m := bus.Message{Subject: q.Subject(l.Escalation), Run: l.Run, Data: body}
	q.bus.Publish(q.names.EscalationsStream(), m, func(_ uint64, err error) {
		switch _, doubt := q.doubts.Load(m.Subject); {
		case errors.Is(err, bus.ErrUncertain):
			q.doubts.Store(m.Subject, true)
		case errors.Is(err, bus.ErrQueued) && doubt:
			go q.replace(m, done)
			return
		case errors.Is(err, bus.ErrQueued):
			err = nil
		case err == nil && doubt:
			q.doubts.Delete(m.Subject)
		}
		done(err)
	})
}

// replaceTime bounds the removal of an entry before it is written once more.
const replaceTime = 10 * time.Second

// replace removes an entry whose write was never confirmed, and writes it once more: it may be only in the memory of a
// server whose disk fails, and its subject takes no second message.
func (q *Queue) replace(m bus.Message, done func(error)) {
	ctx, cancel := context.WithTimeout(context.Background(), replaceTime)
	defer cancel()
	if err := q.bus.Purge(ctx, q.names.EscalationsStream(), m.Subject); err != nil {
		done(fmt.Errorf("replace an escalation whose write was not confirmed: %w", err))
		return
	}
	q.bus.Publish(q.names.EscalationsStream(), m, func(_ uint64, err error) {
		if err == nil || errors.Is(err, bus.ErrQueued) { // another dispatcher has put it meanwhile, and got its own answer
			q.doubts.Delete(m.Subject)
			err = nil
		}
		done(err)
	})
}

// besideBody is room for the subject and the headers of an entry, in bytes.
const besideBody = 1 << 10

// encode writes an entry as JSON, and cuts it if it is larger than the server accepts: people must be asked, and the
// log has all of it.
func (q *Queue) encode(l Entry) ([]byte, error) {
	most := int(q.bus.MaxPayload()) - besideBody
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

// head returns at most so many bytes of a text, and a mark if it was cut.
func head(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

type stored struct {
	V int `json:"v"`
	Entry
}

// Await waits until the entry of an escalation is stored, or ctx ends. An escalation is in the run's log first; a
// dispatcher that reads the log then puts its entry. One that is decided before that may never get an entry.
func (q *Queue) Await(ctx context.Context, v view.Escalation) error {
	follow, found := context.WithCancel(ctx)
	defer found()
	look := func() (ok bool, err error) {
		_, ok, err = q.bus.Last(ctx, q.names.EscalationsStream(), q.Subject(v))
		return ok, err
	}
	if ok, err := look(); ok || err != nil {
		return err
	}
	var err error
	ready := func() { // it may have been stored before the following began
		ok, failed := look()
		if err = failed; ok || failed != nil {
			found()
		}
	}
	followed := q.bus.FollowNew(follow, q.names.EscalationsStream(), q.Subject(v), ready, func(bus.Entry) { found() })
	return errors.Join(followed, err)
}

// listTime is how long somebody waits at most until the entries of a run are stored. If that takes longer, they come later.
const listTime = 5 * time.Second

// AwaitOpen waits until what a run waits for is listed, at most listTime: whoever is told that the run waits may list next
// what is open. Entries are put in the order of the questions, so the last one stands for all.
func (q *Queue) AwaitOpen(ctx context.Context, s *steps.State) {
	if s.Status() != steps.RunWaiting {
		return
	}
	for n := len(s.Escalations) - 1; n >= 0; n-- {
		if s.Escalations[n].State == steps.EscalationOpen {
			ctx, cancel := context.WithTimeout(ctx, listTime)
			defer cancel()
			_ = q.Await(ctx, view.EscalationOf(s, n)) // then it comes later
			return
		}
	}
}

// Subject returns the subject of the entry of an escalation.
func (q *Queue) Subject(v view.Escalation) string {
	return q.names.Escalation(v.Kind, v.Tool, v.ID)
}

// DeadLetter makes the dead letter about an unreadable message of a run's log. It allows skip, which discards the
// message, and retry, which reads it once more (after an upgrade).
func DeadLetter(id, run string, e bus.Entry, why error) Entry {
	return Entry{
		Escalation: view.Escalation{
			ID: id, Kind: steps.KindDeadLetter, State: steps.EscalationOpen, Run: run, Message: why.Error(),
			Opened: e.Time.UTC(), Allowed: []steps.Verb{steps.VerbRetry, steps.VerbSkip},
		},
		Origin: &Origin{Subject: e.Subject, Sequence: e.Seq, Size: len(e.Data), Raw: e.Data[:min(len(e.Data), maxRaw)]},
	}
}

// Remove removes the entry of an escalation. It is not an error if there is none.
func (q *Queue) Remove(ctx context.Context, v view.Escalation) error {
	if err := q.bus.Purge(ctx, q.names.EscalationsStream(), q.Subject(v)); err != nil {
		return fmt.Errorf("remove escalation %s: %w", v.ID, err)
	}
	return nil
}

// IDs lists what the subjects alone say about the entries: id, kind and tool.
func (q *Queue) IDs(ctx context.Context) ([]view.Escalation, error) {
	subjects, err := q.bus.Subjects(ctx, q.names.EscalationsStream(), q.names.EscalationsSubjects())
	if err != nil {
		return nil, fmt.Errorf("list escalations: %w", err)
	}
	var list []view.Escalation
	for _, s := range subjects {
		if kind, tool, id, ok := q.names.ParseEscalation(s); ok {
			list = append(list, view.Escalation{ID: id, Kind: kind, Tool: tool})
		}
	}
	return list, nil
}

// Get reads the entry with this id; [ErrNotFound] if there is none.
func (q *Queue) Get(ctx context.Context, id string) (Entry, error) {
	if id == "" || strings.ContainsAny(id, ".*> \t\r\n") {
		return Entry{}, fmt.Errorf("%w: %q is not the id of an escalation", ErrNotFound, id)
	}
	subjects, err := q.bus.Subjects(ctx, q.names.EscalationsStream(), q.names.Escalation("*", "*", id))
	if err != nil {
		return Entry{}, fmt.Errorf("look for escalation %s: %w", id, err)
	}
	for _, s := range subjects {
		kind, tool, _, _ := q.names.ParseEscalation(s)
		l, err := q.read(ctx, view.Escalation{ID: id, Kind: kind, Tool: tool})
		if err != nil || l.ID != "" {
			return l, err
		}
	}
	return Entry{}, fmt.Errorf("%w: %s; it may be decided already: the run's history shows it", ErrNotFound, id)
}

// read returns an empty entry if there is none.
func (q *Queue) read(ctx context.Context, v view.Escalation) (Entry, error) {
	e, ok, err := q.bus.Last(ctx, q.names.EscalationsStream(), q.Subject(v))
	if err != nil || !ok {
		return Entry{}, err
	}
	return q.decode(e), nil
}

// noTool stands in the subject of an escalation that has no tool.
const noTool = "none"
