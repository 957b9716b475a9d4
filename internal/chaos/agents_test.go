package chaos

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/scriptedmodel"
	"belay/internal/steps"
)

var agents = flag.Int("chaos.agents", 10, "agents that are at work while processes are killed, nearly twice as often; the figures in docs/reliability.md are of 60")

const agentTools = `  model:
    effects: none
    rungs: [{name: primary, model: {provider: openai, model: scripted, base_url: "MODEL/v1", price: {input: 1, output: 1}}, timeout: 5s, retry: {initial: 100ms, max_attempts: 9, on: {crashed: {max_attempts: 9}}}}]
  look:
    effects: none
    input_schema: {type: object, required: [n], properties: {n: {type: integer}}}
    rungs: [{name: primary, http: {method: POST, url: "LOOK"}, timeout: 5s, retry: {initial: 100ms, max_attempts: 9, on: {crashed: {max_attempts: 9}}}}]
`

const agentPlan = `
name: agents
input: {n: 1}
steps: [{id: a, agent: {model: model, prompt: "begin ${ input.n }", tools: [look, pay], keep_turns: 3, summary: {model: model}, limits: {usd: 1000}}}]
`

// script is an agent of twelve turns with a payment in the middle; its first turns are summarised twice.
func script() scriptedmodel.Script {
	call := func(last, name, args string) scriptedmodel.Answer {
		return scriptedmodel.Answer{Last: last, Calls: []scriptedmodel.Call{{Name: name, Arguments: json.RawMessage(args)}}}
	}
	all := []scriptedmodel.Answer{{Last: "What the new summary has to cover", Text: "all in order"}, call("begin", "look", `{"n":1}`), call(`{"next":6}`, "pay", `{"n":2}`), call(`{"ok":true}`, "look", `{"n":7}`), call("a person looked", "look", `{"n":7}`)}
	for n := 2; n < 12; n++ {
		if n != 6 {
			all = append(all, call(fmt.Sprintf(`{"next":%d}`, n), "look", fmt.Sprintf(`{"n":%d}`, n)))
		}
	}
	return scriptedmodel.Script{Answers: append(all, scriptedmodel.Answer{Last: `{"next":12}`, Text: "done"})}
}

// slow serves what h does after a while, so that kills find it in the middle.
func slow(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Duration(rand.IntN(200)) * time.Millisecond):
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.CloseClientConnections)
	return s
}

// TestAgents: agents go on whatever is killed. Each ends, each payment is made once, and each call that the model has counted
// stands in the books of a run, as what it took or as what was reserved for it.
func TestAgents(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	w := newWorld(t)
	brain := scriptedmodel.New(script())
	model := slow(t, brain)
	look := slow(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var params struct{ N int }
		_ = json.NewDecoder(r.Body).Decode(&params)
		fmt.Fprintf(w, `{"next":%d}`, params.N+1)
	}))
	tools := w.tools("100ms") + strings.NewReplacer("MODEL", model.URL, "LOOK", look.URL).Replace(agentTools)
	f := startFleet(t, build(t, ""), "", tools)
	c := f.client(w)
	parsed, err := plan.LoadTools(filepath.Join(f.dir, "tools.yaml"))
	if err == nil {
		c.doc, err = plan.ParsePlan("plan.yaml", []byte(agentPlan), parsed)
	}
	if err != nil {
		t.Fatal(err)
	}
	sc := scenario{runs: *agents, kills: *agents * 5 / 3, pause: 800 * time.Millisecond, limit: 4 * time.Minute}
	seed := uint64(time.Now().UnixNano())
	began := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range sc.runs {
			c.submit(t.Context(), n)
		}
	})
	f.torment(t.Context(), rand.New(rand.NewPCG(seed, seed)), sc)
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), sc.limit)
	defer cancel()
	ended, states := c.settle(ctx, sc.runs)
	payments, twice := w.sum("/pay")
	if ended != sc.runs || len(twice) > 0 || payments != sc.runs {
		t.Errorf("%d of %d agents ended %v; %d payments, twice: %v", ended, sc.runs, states, payments, twice)
	}
	settled, reserved := c.books(t, sc.runs)
	counted := brain.Books().Calls
	if settled > counted || counted > settled+reserved {
		t.Errorf("the model has counted %d calls; the runs have %d, and %d that may have been made", counted, settled, reserved)
	}
	t.Logf("%d of %d agents ended %v; kills %v; %d payments; the model has counted %d calls, the runs have %d and %d that may have been made; %s; not explained by chaos: %d",
		ended, sc.runs, states, f.kills, payments, counted, settled, reserved, time.Since(began).Round(time.Second), len(c.strange))
}

// books counts the model's calls in the logs of the runs: those whose tokens are known, and those for which something was reserved.
func (c *client) books(t *testing.T, runs int) (settled, reserved int) {
	t.Helper()
	for n := range runs {
		s, err := c.runs.Load(t.Context(), runID(n))
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Units {
			if u := &s.Units[i]; u.IsTurn() || u.IsSummary() {
				a, b := callsOf(u.Attempts)
				settled, reserved = settled+a, reserved+b
			}
		}
	}
	return settled, reserved
}

func callsOf(attempts []steps.AttemptRecord) (settled, reserved int) {
	for _, rec := range attempts {
		reserved += rec.Unaccounted()
		switch {
		case rec.Usage != nil:
			settled++
		case rec.Cost > 0:
			reserved++
		}
	}
	return settled, reserved
}
