package dispatcher_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// judgedTools are those that the conformance suite calls by these names. A failure that nobody is asked about takes a plan.
const judgedTools = `tools:
  test_simple_text:
    effects: none
    input_schema: {type: object, description: Says one sentence}
    rungs: [{static: {output: {text: "This is a simple text response for testing."}}}]
  fail:
    effects: none
    rungs: [{command: {argv: [sh, -c, "exit 1"]}, retry: {max_attempts: 1}}]
  json_schema_2020_12_tool:
    effects: none
    input_schema:
      $schema: "https://json-schema.org/draft/2020-12/schema"
      type: object
      description: Has a schema with references
      $defs: {address: {type: object, properties: {street: {type: string}, city: {type: string}}}}
      properties: {name: {type: string}, address: {$ref: "#/$defs/address"}}
      additionalProperties: false
    rungs: [{static: {output: {ok: true}}}]
`

const judgedPlan = "name: test_error_handling\nsteps:\n  - {id: fail, tool: fail, on_failure: fail}\n"

// TestJudgesOfOthers: the conformance suite's scenarios for what Belay's MCP server has (tools; no prompts, resources, logging
// and sampling), and the inspector.
func TestJudgesOfOthers(t *testing.T) {
	t.Parallel()
	bin, err := filepath.Abs("../../server/mcptools/check/node_modules/.bin")
	if err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(bin, "node") // the one of package.json: the suite and the inspector need a newer one than machines have
	if _, err := os.Stat(node); err != nil {
		t.Skip("needs `npm ci` in internal/server/mcptools/check")
	}
	o := &office{canaryWorld: newCanaryWorld(t)}
	o.write("tools.yaml", judgedTools)
	if err := os.Mkdir(filepath.Join(o.dir, "plans"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.write("plans/fails.yaml", judgedPlan)
	var stop func()
	o.url, stop = o.dev("--plans", "plans")
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ask := func(program string, args ...string) string {
		c := exec.CommandContext(ctx, node, append([]string{filepath.Join(bin, program)}, args...)...)
		c.Dir, c.Env = t.TempDir(), o.env
		said, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%s %q: %v\n%s", program, args, err, said)
		}
		return string(said)
	}
	for scenario, passed := range map[string]string{
		"server-initialize": "1/1", "ping": "1/1", "tools-list": "1/1", "tools-call-simple-text": "1/1", "tools-call-error": "1/1",
		"json-schema-2020-12": "4/4", "server-sse-multiple-streams": "2/2", "dns-rebinding-protection": "2/2",
	} {
		if said := ask("conformance", "server", "--url", o.url+"/mcp", "--scenario", scenario); !strings.Contains(said, "Passed: "+passed+", 0 failed, 0 warnings") {
			t.Errorf("%s:\n%s", scenario, said)
		}
	}
	http := []string{"--cli", o.url + "/mcp", "--transport", "http", "--method"}
	if said := ask("mcp-inspector", append(http, "tools/list")...); !strings.Contains(said, `"name": "test_simple_text"`) || !strings.Contains(said, `"name": "belay_result"`) {
		t.Error(said)
	}
	if said := ask("mcp-inspector", append(http, "tools/call", "--tool-name", "test_simple_text")...); !strings.Contains(said, `"dev.belay/state": "succeeded"`) {
		t.Error(said)
	}
}
