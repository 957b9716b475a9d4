package requests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Request is what a program asks: to start runs, one thing about Run, or the same about many.
type Request struct {
	V    int    `json:"v"`
	Name string `json:"name,omitempty"` // who they say they are; what they have shown counts where they have to show something
	Via  string `json:"via,omitempty"`  // cli, go

	Submit []Start `json:"submit,omitempty"`

	Run    string         `json:"run,omitempty"`
	Cancel *Cancel        `json:"cancel,omitempty"`
	Steer  *steps.Steered `json:"steer,omitempty"` // By and Via do not count
	Retry  *Rerun         `json:"retry,omitempty"`
	Replay *Rerun         `json:"replay,omitempty"`

	Migrate *Migrate `json:"migrate,omitempty"`

	Many *runlog.Many `json:"many,omitempty"` // the next part of what is to be done to many runs
}

// Start is a run to be started.
type Start struct {
	Run       string            `json:"run"`                // its id
	Document  json.RawMessage   `json:"document,omitempty"` // a [steps.Definition]; none = that of the run before it in the request
	Input     json.RawMessage   `json:"input"`
	Labels    map[string]string `json:"labels,omitempty"`
	ToolsFile string            `json:"tools_file,omitempty"`
	At        string            `json:"at,omitempty"` // RFC 3339
	In        steps.Duration    `json:"in,omitempty"`
	By        string            `json:"by,omitempty"`        // as in Name
	Trace     string            `json:"trace,omitempty"`     // traceparent
	ReportTo  string            `json:"report_to,omitempty"` // see [steps.Submitted.ReportTo]
}

// Cancel is why a run is cancelled.
type Cancel struct {
	Reason string `json:"reason,omitempty"`
}

// Rerun is how a run that has ended is gone on from, or done again.
type Rerun struct {
	ID        string                     `json:"id,omitempty"` // of the new run; empty = a free one
	Reason    string                     `json:"reason,omitempty"`
	Trace     string                     `json:"trace,omitempty"`
	From      []string                   `json:"from,omitempty"`     // these four of a replay, see [runlog.Replaying]
	Confirmed []string                   `json:"again,omitempty"`    //
	Input     map[string]json.RawMessage `json:"input,omitempty"`    //
	Document  json.RawMessage            `json:"document,omitempty"` // another plan; none = its own
	ToolsFile string                     `json:"tools_file,omitempty"`
}

// Migrate is how an open run goes on under another plan, see [runlog.Migrating].
type Migrate struct {
	ID        string          `json:"id,omitempty"` // of the run that it goes on as; empty = a free one
	Reason    string          `json:"reason,omitempty"`
	Document  json.RawMessage `json:"document"`
	ToolsFile string          `json:"tools_file,omitempty"`
	Drop      []string        `json:"drop,omitempty"`
}

// answer is what became of a request.
type answer struct {
	V         int      `json:"v"`
	Submitted []became `json:"submitted,omitempty"` // in the order of the request
	Came      *came    `json:"came,omitempty"`      // of a cancel, or a message
	Run       string   `json:"run,omitempty"`       // the new one
	Created   bool     `json:"created,omitempty"`   // by this request

	Migration *steps.Migration `json:"migration,omitempty"` // of a migration, its proof

	Many []runlog.ManyResult `json:"many,omitempty"` // of the first runs of a part, in its order

	Failure *failure `json:"failure,omitempty"`
}

// became is what became of one submission.
type became struct {
	Created bool     `json:"created,omitempty"`
	Failure *failure `json:"failure,omitempty"`
}

// came is what is told of a [view.Reply].
type came struct {
	Outcome view.Outcome `json:"outcome"`
	Text    string       `json:"text"`
	Ended   bool         `json:"ended,omitempty"`
}

// failure is an error on its way to another process.
type failure struct {
	Code   string        `json:"code,omitempty"` // a key of codes; empty = whoever asked can do nothing about it
	Text   string        `json:"error,omitempty"`
	Replay *steps.Replay `json:"unreplayable,omitempty"` // what is in the way of a replay

	Migration *steps.Migration `json:"unmigratable,omitempty"` // likewise of a migration
}

var codes = []struct {
	code string
	err  error
}{
	{"forbidden", people.ErrForbidden}, {"no_run", runlog.ErrNoRun}, {"conflict", runlog.ErrConflict}, {"ended", runlog.ErrEnded}, {"no_agent", runlog.ErrNoAgent},
	{"no_turn", runlog.ErrNoTurn}, {"stopped", runlog.ErrStopped}, {"too_large", runlog.ErrTooLarge}, {"bad_start", runlog.ErrBadStart}, {"bad_id", runlog.ErrBadID}, {"bad_input", runlog.ErrBadInput},
	{"invalid", runlog.ErrInvalid}, {"frozen", runlog.ErrFrozen}, {"no_replay", runlog.ErrNoReplay}, {"no_migration", runlog.ErrNoMigration}, {"uncertain", bus.ErrUncertain}, {"full", bus.ErrFull},
	{"no_writes", bus.ErrNoWrites}, {"unreachable", bus.ErrUnreachable},
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error()}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			f.Code = c.code
			break
		}
	}
	if u, is := errors.AsType[*runlog.Unreplayable](err); is {
		f.Replay = &u.Replay
	}
	if u, is := errors.AsType[*runlog.Unmigratable](err); is {
		f.Migration = &u.Migration
	}
	return f
}

// answered is a failure of another process, in the words of that process.
type answered struct {
	text string
	is   error
}

func (t answered) Error() string { return t.text }
func (t answered) Unwrap() error { return t.is }

func (f *failure) err() error {
	if f == nil || f.Text == "" {
		return nil
	}
	if f.Replay != nil {
		return answered{f.Text, &runlog.Unreplayable{Replay: *f.Replay}}
	}
	if f.Migration != nil {
		return answered{f.Text, &runlog.Unmigratable{Migration: *f.Migration}}
	}
	for _, c := range codes {
		if c.code == f.Code {
			return answered{f.Text, c.err}
		}
	}
	return answered{text: f.Text}
}

// whatToDo is told to whoever has shown nothing that counts.
const whatToDo = "this user of NATS may not write logs itself, so a dispatcher asks who starts and cancels runs; for a program: `dispatcher token create NAME --role submitter --whole-plans --tool PATTERN`"

// LetIn finds out who asks; shown is what they showed, name is who they say they are.
type LetIn func(ctx context.Context, shown wire.Shown, name string) (people.Actor, error)

// Serve answers other processes until ctx ends. Ready is called once they can ask.
func (d *Desk) Serve(ctx context.Context, b *bus.Bus, letIn LetIn, ready func()) error {
	return b.AnswerShown(ctx, b.Names().Requests(), ready, func(ctx context.Context, asked bus.Asked) []byte {
		a := d.answer(ctx, asked, letIn)
		a.V = wire.Version
		out, err := json.Marshal(a)
		if err != nil {
			return []byte(`{"v":1,"error":"the answer cannot be written"}`)
		}
		return out
	})
}

func (d *Desk) answer(ctx context.Context, asked bus.Asked, letIn LetIn) (a answer) {
	var r Request
	if err := exactjson.Unmarshal(asked.Body, &r); err != nil || r.V != wire.Version {
		return answer{Failure: &failure{Text: "the request is of another version of the program"}}
	}
	who, err := letIn(ctx, asked.Shown, r.Name)
	if err != nil {
		d.refused(r, Unproven, r.Name, err)
		return answer{Failure: &failure{Code: "forbidden", Text: fmt.Sprintf("%s: %s (%s)", people.ErrForbidden, err, whatToDo)}}
	}
	who.Via = r.Via
	a, err = d.do(ctx, who, r)
	if errors.Is(err, people.ErrForbidden) {
		d.refused(r, Forbidden, who.Name, err)
	}
	a.Failure = failureOf(err)
	return a
}
