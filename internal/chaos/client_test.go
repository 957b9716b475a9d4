package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// client submits runs and answers what people are asked, over its own connection, which lives through everything.
type client struct {
	fleet *fleet
	world *world
	bus   *bus.Bus
	runs  *runlog.Log
	act   func(ctx context.Context, who people.Actor, id string, a people.Act) (handoff.Done, error)
	doc   *plan.Document

	answered int
	strange  []string // escalations that chaos does not explain
}

func (f *fleet) client(w *world) *client {
	f.t.Helper()
	tools, err := plan.LoadTools(filepath.Join(f.dir, "tools.yaml"))
	if err != nil {
		f.t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(planText), tools)
	if err != nil {
		f.t.Fatal(err)
	}
	signer, err := approval.Open(f.keys())
	if err != nil {
		f.t.Fatal(err)
	}
	c := &client{fleet: f, world: w, doc: doc}
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	err = errors.New("not tried")
	for err != nil && ctx.Err() == nil { // whoever crashes may do so now
		if c.bus != nil {
			c.bus.Close()
		}
		if c.bus, err = bus.Connect(ctx, bus.Options{Server: f.url, Timeout: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			err = c.bus.Open(ctx)
		}
		if err == nil {
			_, err = signer.PublishTo(ctx, approval.NewPublished(c.bus))
		}
		pause(ctx, 50*time.Millisecond)
	}
	if err != nil {
		f.t.Fatalf("%v\n%s", err, f.logs())
	}
	f.t.Cleanup(c.bus.Close)
	c.runs = runlog.New(c.bus, plan.NewCache(8))
	c.act = handoff.NewDesk(c.runs, dlq.New(c.bus), handoff.NewClaims(c.bus), signer).Act
	return c
}

// submit submits run n until it is accepted. Twice is once.
func (c *client) submit(ctx context.Context, n int) {
	input, err := c.doc.CheckInput(map[string]json.RawMessage{"n": fmt.Append(nil, n)})
	if err != nil {
		c.fleet.t.Error(err)
		return
	}
	for ctx.Err() == nil {
		_, err := c.runs.Submit(ctx, runID(n), steps.Submitted{Document: c.doc.JSON, Input: input})
		if err == nil {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}

func runID(n int) string { return fmt.Sprint("run", n) }

// people answer every open escalation, with what they find out in the world.
func (c *client) people(ctx context.Context) {
	letters, err := dlq.New(c.bus).List(ctx)
	if err != nil {
		return
	}
	for _, l := range letters {
		s, err := c.runs.Load(ctx, l.Run)
		if err != nil {
			continue
		}
		n := s.FindEscalation(l.ID)
		if n < 0 || s.Escalations[n].State != steps.EscalationOpen {
			continue
		}
		c.decide(ctx, view.DossierOf(s, n))
	}
}

func (c *client) decide(ctx context.Context, d view.Dossier) {
	decision := people.Act{Verb: "retry"}
	if d.Kind == steps.KindApproval {
		decision = people.Act{Verb: "approve", Digest: d.Approval.Digest}
	} else if d.Kind != steps.KindUnknown {
		c.strange = append(c.strange, fmt.Sprintf("%s %s: %s", d.ID, d.Class, d.Message))
	} else if d.Failing != nil && c.world.done("/pay", d.Failing.Key) > 0 {
		decision.Verb, decision.Answer = "answer", json.RawMessage(`{"ok":"a person looked"}`)
	}
	if _, err := c.act(ctx, people.Trusted("chaos", ""), d.ID, decision); err == nil {
		c.answered++
	}
}

// states counts the runs by state; ok is false while the server cannot be asked.
func (c *client) states(ctx context.Context) (map[steps.RunState]int, bool) {
	page, err := c.runs.List(ctx, runlog.Filter{})
	if err != nil {
		return nil, false
	}
	m := map[steps.RunState]int{}
	for _, r := range page.Items {
		m[r.State]++
	}
	return m, true
}

// settle lets people answer until all runs have ended, at the longest until ctx ends.
func (c *client) settle(ctx context.Context, runs int) (ended int, states map[steps.RunState]int) {
	for ctx.Err() == nil {
		c.people(ctx)
		if now, ok := c.states(ctx); ok {
			states = now
			if ended = now[steps.RunSucceeded] + now[steps.RunDegraded]; ended == runs {
				break
			}
		}
		pause(ctx, 300*time.Millisecond)
	}
	return ended, states
}
