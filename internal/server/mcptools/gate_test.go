package mcptools

import (
	"context"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/gates"
	"belay/internal/people"
	"belay/internal/steps"
)

// TestACallWaitsBehindAGateThatIsOpen: a call that a closed gate holds back is answered at once, since it waits for whoever opens the gate. Once that
// was done it goes on without anybody, and a call waits for it as for one that is executed, although the log says so only later.
func TestACallWaitsBehindAGateThatIsOpen(t *testing.T) {
	t.Parallel()
	b := open(t)
	mia := people.Trusted("mia", "test")
	g, err := b.CloseGate(t.Context(), mia, gates.Gate{ID: "g1", Covers: gates.Covers{All: true}, Reason: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	asked := func(o Options, params string) map[string]any {
		t.Helper()
		r, err := b.client(t, o).CallTool(t.Context(), &mcp.CallToolParams{Name: "order", Arguments: map[string]any{"n": params}})
		if err != nil {
			t.Fatal(err)
		}
		said, _ := r.StructuredContent.(map[string]any)
		return said
	}
	o := b.options
	o.Released = gates.Of(b.Bus).Released
	if said := asked(o, "one"); said["state"] != "waiting" {
		t.Errorf("behind a closed gate: %v", said)
	}
	opened := make(chan struct{})
	o.Released = func(_ context.Context, s *steps.State) bool { // it is opened as soon as somebody asks, and the log does not say so yet
		if s.HeldBack() == 0 {
			return false
		}
		select {
		case <-opened:
		default:
			if _, err := b.OpenGate(t.Context(), mia, g.ID, "mended"); err != nil {
				t.Error(err)
			}
			close(opened)
		}
		return true
	}
	if said := asked(o, "two"); said["result"] == nil {
		t.Errorf("behind a gate that is open: %v", said)
	}
}
