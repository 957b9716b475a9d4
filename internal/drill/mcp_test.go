package drill

import (
	"bytes"
	"strings"
	"testing"

	"belay/internal/sim"
)

const serverTools = `
tools:
  shop.find:
    effects: none
    rungs:
      - {name: server, mcp: {url: "https://shop.invalid/mcp", tool: find}}
      - {name: cached, cache: {max_age: 24h}}
  shop.refund:
    effects: unsafe
    input_schema: {type: object}
    rungs: [{mcp: {command: [./shop-server], tool: refund}}]
  shop.note:
    effects: idempotent
    output_schema: {type: object, required: [id]}
    rungs: [{mcp: {command: [python3, notes.py], tool: note}}]
  shop.tell:
    rungs: [{remote: {}}]
`

const serverPlan = `
name: shop
steps:
  - {id: find, tool: shop.find}
  - {id: refund, tool: shop.refund, when: "steps.find.output.cents > 1"}
  - {id: note, tool: shop.note}
  - {id: tell, tool: shop.tell}
`

// TestMCP: a server that cannot be reached, that does not answer as it should, or that asks a person.
func TestMCP(t *testing.T) {
	t.Parallel()
	r := prepared(t, serverTools, serverPlan, sim.Whole).Run()
	wants(t, r, map[string]string{
		"find.server/refused": "ok/~cached", "find.server/500": "ok/~cached", "find.server/429": "ok/~cached", "find.server/401": "~cached", "find.server/error": "~cached",
		"find.server/garbage": "ok/~cached", "find.server/empty": "ok/~cached", "find.server/no-content": "person", "find.server/asks": "person", "find.server/changed": ".",
		"refund.primary/refused": "ok/person", "refund.primary/500": ".", "refund.primary/error": "person", "refund.primary/garbage": "person", "refund.primary/empty": "person",
		"refund.primary/no-content": "ok", "refund.primary/asks": "person", "refund.primary/changed": "person",
		"note.primary/error": "person", "note.primary/no-content": "ok/person", "note.primary/schema": "ok/person", "note.primary/changed": ".",
		"tell.primary/asks": "person", "tell.primary/no-content": ".",
	})
	for name, want := range map[string]string{
		"find.server/changed": "the tool has no input_schema to compare the server's with", "refund.primary/500": "MCP servers behind a URL", "tell.primary/no-content": notMCP,
	} {
		if c := r.Find(name); !strings.Contains(c.Why, want) {
			t.Errorf("%s: %s", name, c.Why)
		}
	}
	var names []string
	for _, d := range r.Calls {
		names = append(names, d.Name)
	}
	for _, want := range []string{"shop.invalid", "./shop-server", "python3 notes.py", "remote shop.tell"} {
		if !strings.Contains(strings.Join(names, ","), want) {
			t.Errorf("nothing is called %s in %q", want, names)
		}
	}
}

// TestMCPStories: the worst play of each fault of a server is written down, and ends so again.
func TestMCPStories(t *testing.T) {
	t.Parallel()
	d := prepared(t, serverTools, serverPlan, sim.Whole)
	for _, name := range []string{"find.server/asks", "find.server/no-content", "refund.primary/asks", "refund.primary/changed", "refund.primary/no-content", "note.primary/empty"} {
		told(t, d, name)
	}
}

// told writes a cell down, reads it and plays it again.
func told(t *testing.T, d *Drill, name string) {
	t.Helper()
	c, err := d.Cell(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Story(c)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	if s, err = ParseStory(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	e, err := d.Tell(s)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, b.String())
	}
	if len(e.Wrong) > 0 {
		var lines strings.Builder
		Lines(&lines, e.Lines)
		t.Errorf("%s: %q\n%s\n%s", name, e.Wrong, b.String(), lines.String())
	}
}
