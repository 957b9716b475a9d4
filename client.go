package belay

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"belay/internal/bus"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/handoff"
	"belay/internal/observe"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Options say what a [Client] works on: a server (NATS), or a store of its own (Embedded).
type Options struct {
	NATS
	// Embedded is a folder for a server that runs in this process, with a dispatcher and, if there are Tools, a worker:
	// everything that runs need, on one machine. One process at a time can have the folder. What is acknowledged is on
	// disk.
	Embedded string
	Tools    *Tools    // of the embedded worker
	Handlers []Handler // of the embedded worker
	APIToken string    // shown to `dispatcher serve` by Decide; not needed with Embedded
	Log      *slog.Logger
}

// Client starts, follows and ends runs. It is safe for concurrent use.
type Client struct{ engine *engine.Engine }

// Open connects to the server that o names, or starts the embedded one. Against a server, a dispatcher must have made
// the streams. Close gives everything back.
func Open(ctx context.Context, o Options) (*Client, error) {
	log := orDiscard(o.Log)
	eo := engine.Options{Connect: o.NATS.options("belay-client", log), Token: o.APIToken, Log: log}
	if o.Embedded != "" {
		eo.Embedded = &bus.ServerOptions{StoreDir: filepath.Join(o.Embedded, "jetstream"), Log: log}
		eo.Connect.Server, eo.Connect.Context = "", ""
		eo.People = &engine.PeopleOptions{Keys: filepath.Join(o.Embedded, "keys"), Checkpoints: filepath.Join(o.Embedded, "audit.checkpoints")}
		eo.Dispatch = &dispatch.Options{Name: "embedded", Observer: &observe.Runs{Log: log}}
		if o.Tools != nil {
			eo.Worker = WorkerOptions{Tools: o.Tools}.engine(o.Handlers, slog.New(slog.DiscardHandler)) // the dispatcher's lines say it all
		}
	}
	e, err := engine.Start(ctx, eo)
	if err != nil {
		return nil, fmt.Errorf("belay: %w", err)
	}
	return &Client{e}, nil
}

// Close lets an embedded worker finish what it executes and gives everything back. Runs that are under way go on when
// the store is opened again, or with the other workers of the server.
func (c *Client) Close() { c.engine.Stop() }

// Plan is a checked plan with the policies of its tools pinned into it.
type Plan = plan.Document

// LoadPlan reads a plan and checks it against its tools. The error lists all its mistakes, each with its place.
func LoadPlan(path string, tools *Tools) (*Plan, error) { return plan.LoadPlan(path, tools) }

// ParsePlan reads the text of a plan; name is for messages.
func ParsePlan(name string, text []byte, tools *Tools) (*Plan, error) {
	return plan.ParsePlan(name, text, tools)
}

// Submission is what a run starts with.
type Submission struct {
	ID     string // the run's; letters, digits, - and _, at most 64. Default: a new one. The same content twice is once
	Input  any    // an object: a struct or a map, checked against the plan's inputs; nil takes their defaults
	Labels map[string]string
	By     string // who asks; default the program's name
}

// Submit starts a run. It returns at once when the run is stored: from then on it reaches its end, whatever fails. An
// error is kept in the [Run], so that
//
//	doc, err := client.Submit(ctx, plan, belay.Submission{ID: "refund-A-1009"}).Wait(ctx)
//
// is enough. Another run under the same id is an [ErrConflict].
func (c *Client) Submit(ctx context.Context, p *Plan, s Submission) *Run {
	if s.ID == "" {
		s.ID = newID()
	}
	r := c.Run(s.ID)
	sub, err := submitted(p, s)
	if err == nil {
		sub.Trace, _ = (*observe.Traces)(nil).Submit(ctx, s.ID, p.Definition.Plan.Name) // of the span that ctx is in
		_, err = c.engine.Runs.Submit(ctx, s.ID, sub)
	}
	if err != nil {
		r.err = fmt.Errorf("belay: %w", err)
	}
	return r
}

// newID is a UUID that grows with time, so that lists sort by age.
func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.NewString()
	}
	return id.String()
}

func submitted(p *Plan, s Submission) (steps.Submitted, error) {
	given := map[string]json.RawMessage{}
	if s.Input != nil {
		b, err := json.Marshal(s.Input)
		if err != nil {
			return steps.Submitted{}, fmt.Errorf("the input of run %s is no JSON: %w", s.ID, err)
		}
		if err := json.Unmarshal(b, &given); err != nil {
			return steps.Submitted{}, fmt.Errorf("the input of run %s is an object: a struct or a map, not %T", s.ID, s.Input)
		}
	}
	input, err := p.CheckInput(given)
	if err != nil {
		return steps.Submitted{}, fmt.Errorf("run %s: %w", s.ID, err)
	}
	labels := map[string]string{}
	for _, from := range []map[string]string{p.Definition.Plan.Labels, s.Labels} {
		for k, v := range from {
			labels[k] = v
		}
	}
	if s.By == "" {
		s.By = filepath.Base(os.Args[0])
	}
	return steps.Submitted{Document: p.JSON, Input: input, Labels: labels, By: s.By}, nil
}

// Filter says which runs to list: all that it says must fit.
type Filter = runlog.Filter

// Summary is a run in a list.
type Summary = runlog.Summary

// List summarises runs, the newest first.
func (c *Client) List(ctx context.Context, f Filter) ([]Summary, error) {
	return c.engine.Runs.List(ctx, f)
}

// Dossier is what a person needs to decide about an escalation.
type Dossier = steps.Dossier

// Escalation is the whole context of an escalation.
func (c *Client) Escalation(ctx context.Context, id string) (Dossier, error) {
	run, ok := handoff.RunOf(id)
	if !ok {
		return Dossier{}, fmt.Errorf("belay: %w: %s", ErrNoEscalation, id)
	}
	s, err := c.engine.Runs.Load(ctx, run)
	if err != nil {
		return Dossier{}, fmt.Errorf("belay: escalation %s: %w", id, err)
	}
	n := s.FindEscalation(id)
	if n < 0 {
		return Dossier{}, fmt.Errorf("belay: %w: %s", ErrNoEscalation, id)
	}
	d, err := handoff.Dossier(ctx, c.engine.Runs, s, n)
	if err != nil {
		return Dossier{}, fmt.Errorf("belay: %w", err)
	}
	return d, nil
}

// Decision is a person's word on an escalation.
type Decision struct {
	Verb   string // one that the escalation allows: approve, reject, retry, edit, answer, skip, verify, abort
	By     string // who decides
	Reason string // reject needs one
	Digest string // approve: of what was shown, Dossier.Approval.Digest
	Params any    // edit: the whole new parameters
	Answer any    // answer: what stands for the tool's output
}

// Decide makes a decision count, once. [ErrDecided] says that somebody was first; the error says who, what and when.
func (c *Client) Decide(ctx context.Context, escalation string, d Decision) error {
	out := handoff.Act{Verb: handoff.Action(d.Verb), Reason: d.Reason, Digest: d.Digest}
	for into, v := range map[*json.RawMessage]any{&out.Params: d.Params, &out.Answer: d.Answer} {
		if v == nil {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("belay: decide %s: %w", escalation, err)
		}
		*into = b
	}
	if _, err := c.engine.People.Act(ctx, handoff.Person{Name: d.By, Via: "api"}, escalation, out); err != nil {
		return fmt.Errorf("belay: %w", err)
	}
	return nil
}

// Errors that callers tell apart.
var (
	ErrNoRun        = runlog.ErrNoRun          // no run has this id
	ErrConflict     = runlog.ErrConflict       // another run has this id
	ErrEnded        = runlog.ErrEnded          // the run is over
	ErrNoEscalation = handoff.ErrNoEscalation  // no such escalation
	ErrDecided      = handoff.ErrDecidedBefore // somebody was first
	ErrUnreachable  = bus.ErrUnreachable       // no connection to NATS now
)
