package mcptools

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestWhyARunEnded: the reason of its end is told, not a fault on its way there.
func TestWhyARunEnded(t *testing.T) {
	t.Parallel()
	const shop = "tool flaky max=1\ntool pay effects=unsafe approval=always max=1\nstep s tool=flaky on_failure=skip\nstep p tool=pay\nsubmit\nfail s 0-0-1 tool_error no\n"
	for want, play := range map[string]string{
		"The run r failed: budget_exceeded: the agent has had its 2 turns": "tool model max=1\ntool look max=1\nstep a tool=model agent=look turns=2 on_limit=fail\nsubmit\nsays a~t1 0-0-1 10 x nothing:{}\nsays a~t2 0-0-1 10 x look:{}\nok a~t2.1 0-0-1 1",
		"The run r was cancelled: cancelled by ann":                        shop + "cancel",
		"The run r was aborted by a person: aborted by ann":                shop + "decide r-1 abort",
		"The run r failed: tool_error: it failed":                          "tool t max=1\nstep s tool=t on_failure=fail\nsubmit\nfail s 0-0-1 tool_error no",
	} {
		st := stepstest.NewStory(t)
		for line := range strings.Lines(play) {
			st.Command(strings.TrimSpace(line))
		}
		s := &Server{}
		if got := s.unsuccessful(view.Show(st.State)).Content[0].(*mcp.TextContent).Text; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestProgressSaysThatAGateIsOpen: the log of a run has a gate as closed until its call's turn has come, and a client hears that it is open all
// the same, once.
func TestProgressSaysThatAGateIsOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := stepstest.NewStory(t)
		for line := range strings.Lines("tool pay max=1\nstep a tool=pay\nsubmit\nheld a 0-0-1 g1 mia wrong\nwithdrawn a 0-0-1") {
			st.Command(strings.TrimSpace(line))
		}
		var said []string
		open := false
		p := &progress{now: time.Now, send: func(_ float64, text string) { said = append(said, text) }, why: func(st *steps.State, f view.Foresight) view.Why {
			w := view.WhyOf(st, f)
			if open {
				w.Waits[0].Text = "its turn"
			}
			return w
		}}
		p.mu.Lock()
		p.timer = time.AfterFunc(saidEvery, p.tick)
		p.mu.Unlock()
		p.tell(st.State)
		look := func() {
			time.Sleep(lookedEvery)
			synctest.Wait()
		}
		look()
		p.mu.Lock()
		open = true
		p.mu.Unlock()
		look()
		look()
		p.stop()
		if len(said) != 2 || !strings.HasPrefix(said[0], "waits for held by gate g1") || said[1] != "waits for its turn" {
			t.Errorf("%q", said)
		}
	})
}
