package belay

import (
	"context"
	"iter"
	"time"

	"belay/belaytype"
	"belay/internal/gates"
	"belay/internal/limits"
)

// Gating says which calls are held back, and why.
type Gating struct {
	Covers belaytype.Covers // which calls
	Reason string           // why, for everybody who meets it; it must be there
	Until  time.Time        // when the gate opens by itself; zero = somebody opens it
	ID     string           // names the gate; default: one is made up
	By     string           // who closes it; default the program's name
}

// CloseGate holds calls back for the whole cluster: none that it covers begins until it is opened. What runs, runs on: [Client.Gate]
// says how much. One of the same ID that is closed already is an [ErrNotNow]. It takes an operator; other errors: [ErrInvalid],
// [ErrForbidden], [ErrNoDispatcher].
func (c *Client) CloseGate(ctx context.Context, g Gating) (*belaytype.Gate, error) {
	covers, err := as[gates.Covers](g.Covers)
	if err != nil {
		return nil, wrapped("gate "+g.ID, err)
	}
	return c.onGate(ctx, g.ID, gates.Request{Name: whoever(g.By), Close: &gates.Gate{ID: g.ID, Covers: covers, Reason: g.Reason, Until: g.Until}})
}

// OpenGate lets go what a gate has held back. One that is open already is an [ErrNotNow].
func (c *Client) OpenGate(ctx context.Context, id, by, reason string) (*belaytype.Gate, error) {
	return c.onGate(ctx, id, gates.Request{Name: whoever(by), Open: id, Reason: reason})
}

func (c *Client) onGate(ctx context.Context, id string, r gates.Request) (*belaytype.Gate, error) {
	r.Via, r.Token = "go", c.desk.Token
	g, err := gates.Ask(ctx, c.bus, r)
	if err != nil {
		return nil, wrapped("gate "+id, err)
	}
	shown, err := as[belaytype.Gate](g)
	return &shown, err
}

// Gates are the gates that are closed, and those that were opened lately (Opened is not nil), the newest first, with what each holds back
// and what still runs.
func (c *Client) Gates(ctx context.Context) iter.Seq2[belaytype.Gate, error] {
	return listed[gates.Progress, belaytype.Gate]("gates", func() ([]gates.Progress, error) { return gates.Of(c.bus).List(ctx) })
}

// Gate is one of them, or an [ErrNotFound].
func (c *Client) Gate(ctx context.Context, id string) (*belaytype.Gate, error) {
	p, err := gates.Of(c.bus).Find(ctx, id)
	if err != nil {
		return nil, wrapped("gate "+id, err)
	}
	g, err := as[belaytype.Gate](p)
	return &g, err
}

// Limits are the limits that calls count for at present, first those for which most calls wait.
func (c *Client) Limits(ctx context.Context) iter.Seq2[belaytype.Limit, error] {
	return listed[limits.Limit, belaytype.Limit]("limits", func() ([]limits.Limit, error) { return limits.List(ctx, c.bus) })
}
