package belay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"belay/belaytype"
	"belay/internal/approval"
	"belay/internal/borrow"
	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/requests"
	"belay/internal/runindex"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/yamldoc"
)

// Client starts, follows and ends runs, and decides escalations. It is safe for concurrent use.
type Client struct {
	bus   *bus.Bus
	runs  *runlog.Log
	watch *runlog.Watch
	open  *dlq.Queue
	desk  handoff.Remote
	close func()

	proofs handoff.Proofs // of who submitted a run
}

// Open connects to the NATS server that o names. A dispatcher must have made the streams there: `dispatcher serve` and
// `dispatcher dev` do. Call Close when done. For a client with a server, a dispatcher and a worker of its own in this
// process see package belay/embedded.
func Open(ctx context.Context, o Options) (*Client, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := bus.Connect(ctx, o.bus())
	if err == nil {
		if err = b.Open(ctx); err != nil {
			b.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("belay: %w", public(err))
	}
	return newClient(b, o.APIToken, func() {
		b.Close()
		if o.OnClose != nil {
			o.OnClose()
		}
	}), nil
}

func init() {
	borrow.Client = func(b *bus.Bus, stop func()) any { return newClient(b, "", stop) }
}

// newClient makes a client on a bus; stop is called at the end of its Close.
func newClient(b *bus.Bus, token string, stop func()) *Client {
	runs := runlog.New(b, plan.NewCache(256))
	runs.Picker, runs.Elsewhere = runindex.Remote{Bus: b}, requests.Remote{Bus: b, Token: token}
	c := &Client{bus: b, runs: runs, watch: runlog.NewWatch(runs), open: dlq.New(b), desk: handoff.Remote{Bus: b, Token: token}, proofs: approval.NewPublished(b)}
	c.close = sync.OnceFunc(func() {
		c.watch.Close()
		stop()
	})
	return c
}

// Close makes pending calls return [ErrClosed] and closes the connection, unless it is [Options.Conn]. Runs continue
// without the client.
func (c *Client) Close() { c.close() }

// List returns summaries of runs, the newest first.
func (c *Client) List(ctx context.Context, f belaytype.Filter) ([]belaytype.Summary, error) {
	page, err := c.ListPage(ctx, f)
	return page.Items, err
}

// ListPage is List for those who go on where it ends, with [belaytype.Filter.After].
func (c *Client) ListPage(ctx context.Context, f belaytype.Filter) (belaytype.Page, error) {
	p, err := c.runs.List(ctx, internalFilter(f))
	if err != nil {
		return belaytype.Page{}, fmt.Errorf("belay: %w", public(err))
	}
	return belaytype.Page{Items: each(p.Items, summary), Total: p.Total, Next: p.Next, Short: p.Short, Read: p.Read}, nil
}

// Escalations returns the open escalations, the oldest first.
func (c *Client) Escalations(ctx context.Context) ([]belaytype.Escalation, error) {
	list, err := c.open.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("belay: %w", public(err))
	}
	return each(list, func(e dlq.Entry) belaytype.Escalation { return escalation(e.Escalation) }), nil
}

// Escalation returns the dossier of an escalation: everything that a person needs to decide it.
func (c *Client) Escalation(ctx context.Context, id string) (*belaytype.Dossier, error) {
	d, err := handoff.Dossier(ctx, c.runs, c.proofs, id)
	if err != nil {
		return nil, fmt.Errorf("belay: escalation %s: %w", id, public(err))
	}
	shown := dossier(d)
	return &shown, nil
}

// Decide records a decision on an open escalation. [ErrDecided] means that somebody decided first; the
// [*AlreadyDecided] in it says who, what and when. Repeating the same decision by the same person does no harm.
func (c *Client) Decide(ctx context.Context, escalation string, d belaytype.Decision) error {
	act := people.Act{Verb: people.Action(d.Verb), Reason: d.Reason, Scope: d.Scope, Digest: d.Digest}
	for into, v := range map[*json.RawMessage]any{&act.Params: d.Params, &act.Answer: d.Answer} {
		if v == nil {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("belay: decide %s: %w", escalation, err)
		}
		*into = b
	}
	if _, err := c.desk.Act(ctx, people.Trusted(d.By, "api"), escalation, act); err != nil {
		return fmt.Errorf("belay: %w", public(err))
	}
	return nil
}

// Errors that callers tell apart with errors.Is.
var (
	ErrNoRun        = errors.New("no such run")                        // no run has this id
	ErrConflict     = errors.New("this id is taken by another run")    // the same id with other content
	ErrEnded        = errors.New("the run has ended")                  // it cannot be cancelled, or written to, any more
	ErrNoAgent      = errors.New("no agent there reads it")            // the step is not an agent, or not at work
	ErrNoTurn       = errors.New("that turn cannot be taken back")     // it has not begun, or is taken back already
	ErrNoReplay     = errors.New("it cannot be done again like that")  // the run is open, what it did differs, or calls have yet to be confirmed
	ErrNoMigration  = errors.New("it cannot go on under this plan")    // the text says what is in the way of which step
	ErrFrozen       = errors.New("the run is frozen")                  // its log has a message that cannot be read; a dead letter asks people what to do
	ErrTooLarge     = errors.New("too large")                          // the submission, or the contents of a decision
	ErrNoEscalation = errors.New("no such escalation")                 // none has this id
	ErrNotFound     = errors.New("there is none of this name")         // no schedule, no gate
	ErrNotNow       = errors.New("not possible as it is now")          // a schedule or gate that is so already, or whose run before is open; what is done to many runs, and a person has stopped
	ErrMore         = errors.New("there are more: do the same again")  // runs that a search finds than are taken at a time
	ErrDamaged      = errors.New("the archive is damaged")             // it is not what was written, or not all of it
	ErrDecided      = errors.New("already decided")                    // somebody decided first, see [AlreadyDecided]
	ErrNotAllowed   = errors.New("this cannot be decided here")        // the escalation does not allow this verb
	ErrForbidden    = errors.New("you may not do this")                // by the token's role or by a rule of the tool
	ErrInvalid      = errors.New("the decision does not fit")          // to the escalation: its reason, parameters or answer
	ErrClaimed      = errors.New("somebody else has claimed it")       // the console and the CLI can take it over, after asking
	ErrNoDispatcher = errors.New("no dispatcher answers")              // none is there to carry out a decision
	ErrUnreachable  = errors.New("no connection to NATS")              // at the moment
	ErrUncertain    = errors.New("it may or may not have been stored") // repeat it: it counts once
	ErrNoWrites     = errors.New("the store takes no writes")          // nothing was stored; its disk may be full
	ErrClosed       = errors.New("the client is closed")               // by Close
)

// AlreadyDecided is an [ErrDecided] with details: somebody decided first, or the escalation was closed without a decision.
type AlreadyDecided struct {
	Decision *belaytype.Decided        // nil: nobody decided
	State    belaytype.EscalationState // how the escalation ended
	At       time.Time                 // when
	Next     string                    // the escalation that asks the same question now, if this one expired
	Text     string                    // all of it as a sentence
}

// Error is the sentence in Text.
func (d *AlreadyDecided) Error() string { return d.Text }

// Is makes errors.Is(err, ErrDecided) true.
func (d *AlreadyDecided) Is(target error) bool { return target == ErrDecided }

// publicError is an internal error that also matches a sentinel of this package.
type publicError struct {
	error
	is error
}

func (o publicError) Is(target error) bool { return target == o.is }
func (o publicError) Unwrap() error        { return o.error }

var sentinels = []struct{ internal, public error }{
	{runlog.ErrNoRun, ErrNoRun}, {runlog.ErrConflict, ErrConflict}, {runlog.ErrEnded, ErrEnded}, {runlog.ErrNoAgent, ErrNoAgent}, {runlog.ErrNoTurn, ErrNoTurn}, {runlog.ErrNoReplay, ErrNoReplay}, {runlog.ErrNoMigration, ErrNoMigration}, {runlog.ErrBadInput, ErrInvalid}, {runlog.ErrInvalid, ErrInvalid}, {runlog.ErrBadStart, ErrInvalid}, {runlog.ErrFrozen, ErrFrozen}, {runlog.ErrTooLarge, ErrTooLarge},
	{runlog.ErrStopped, ErrNotNow}, {runlog.ErrClosed, ErrClosed}, {handoff.ErrNoEscalation, ErrNoEscalation}, {handoff.ErrNotAllowed, ErrNotAllowed}, {people.ErrForbidden, ErrForbidden},
	{handoff.ErrInvalid, ErrInvalid}, {handoff.ErrClaimed, ErrClaimed}, {bus.ErrUncertain, ErrUncertain}, {handoff.ErrNoDesk, ErrNoDispatcher}, {requests.ErrNobody, ErrNoDispatcher}, {bus.ErrTooLarge, ErrTooLarge},
	{schedules.ErrNone, ErrNotFound}, {schedules.ErrDenied, ErrForbidden}, {schedules.ErrWrong, ErrInvalid}, {schedules.ErrExists, ErrConflict}, {schedules.ErrPaused, ErrNotNow}, {schedules.ErrNotPaused, ErrNotNow}, {schedules.ErrBusy, ErrNotNow},
	{gates.ErrNone, ErrNotFound}, {gates.ErrDenied, ErrForbidden}, {gates.ErrWrong, ErrInvalid}, {gates.ErrClosed, ErrNotNow}, {gates.ErrOpen, ErrNotNow}, {runlog.ErrDamaged, ErrDamaged}, {bus.ErrNobody, ErrNoDispatcher},
	{bus.ErrFull, ErrNoWrites}, {bus.ErrNoWrites, ErrNoWrites}, {bus.ErrUnreachable, ErrUnreachable},
}

// public turns an internal error into one that callers can match with errors.Is and errors.As.
func public(err error) error {
	if d, ok := errors.AsType[*handoff.DecidedBefore](err); ok {
		text := d.Error()
		return fmt.Errorf("%s%w", prefixOf(err.Error(), text), &AlreadyDecided{decided(d.Decision), belaytype.EscalationState(d.State), d.At, d.Next, text})
	}
	if p, ok := errors.AsType[yamldoc.Problems](err); ok {
		return Problems(each(p, problem))
	}
	for _, s := range sentinels {
		if errors.Is(err, s.internal) {
			return publicError{err, s.public}
		}
	}
	return err
}

// prefixOf returns text without the suffix end, or "" if it does not end so.
func prefixOf(text, end string) string {
	if n := len(text) - len(end); n >= 0 && text[n:] == end {
		return text[:n]
	}
	return ""
}
