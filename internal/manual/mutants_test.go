package manual_test

import (
	"strings"
	"testing"
)

// mistakes are pages with one mistake each, and what must be said of it.
var mistakes = []struct{ name, page, says string }{
	{"no title", "Words.\n", "mutant.md:1: a page begins with"},
	{"no info string", "# T\n\n```\nx\n```\n", "mutant.md:3: the block has no info string"},
	{"unknown info string", "# T\n\n```cobol\nx\n```\n", `mutant.md:3: nobody knows how to check a block "cobol"`},
	{"open block", "# T\n\n```text\nx\n", "mutant.md:3: this block does not end"},
	{"indented block", "# T\n\nWords\n\n    dispatcher dev\n", "mutant.md:5: an indented block"},
	{"unknown command", "# T\n\n```sh\ntrue\ndispatcher rums ls\n```\n", `mutant.md:5: ` + "`dispatcher rums ls`: unknown command"},
	{"unknown flag", "# T\n\n```sh\nA=1 dispatcher dev --tools x | cat\nx=$(dispatcher esc ls --al)\n```\n", "mutant.md:5: `dispatcher esc ls --al`: unknown flag: --al"},
	{"bad value", "# T\n\n```sh\nworker --concurrency many &\n```\n", "mutant.md:4: `worker --concurrency many`: invalid argument"},
	{"missing argument", "# T\n\n```sh\ndispatcher runs show\n```\n", "mutant.md:4: `dispatcher runs show`: "},
	{"unknown package", "# T\n\n```sh\ngo test ./internal/nowhere\n```\n", "mutant.md:4: `go test ./internal/nowhere`: stat"},
	{"unknown test", "# T\n\n```sh\ngo test ./internal/plan -run NoSuchTest\n```\n", "no test in ./internal/plan matches NoSuchTest"},
	{"unknown test in a sentence", "# T\n\nSee `go test ./internal/plan -run NoSuchTest`.\n", "mutant.md:3: `go test ./internal/plan -run NoSuchTest`: no test in ./internal/plan matches NoSuchTest"},
	{"unknown test in one of two packages", "# T\n\nSee `go test ./internal/plan ./internal/steps -run 'TestLimits|TestMigrations|NoSuchTest'`.\n", "no test matches NoSuchTest"},
	{"unknown test in a table", "# T\n\n| a |\n|---|\n| `./internal/plan -run 'TestLimits\\|NoSuchTest'` |\n", "no test matches NoSuchTest"},
	{"bad shell", "# T\n\n```sh\nif true\n```\n", "mutant.md:3: bash cannot read this"},
	{"command in a sentence", "# T\n\nUse `dispatcher rums ls`.\n", "mutant.md:3: `dispatcher rums ls`: unknown command"},
	{"flag in a sentence", "# T\n\nUse `--tolls FILE`.\n", "mutant.md:3: `--tolls FILE`: neither program has such a flag"},
	{"dead link", "# T\n\nSee [it](../README.md#nowhere).\n", "mutant.md:3: the link to ../README.md#nowhere leads nowhere: README.md has no heading"},
	{"dead file", "# T\n\nSee [it](nowhere.md).\n", "mutant.md:3: the link to nowhere.md leads nowhere: there is no file docs/nowhere.md"},
	{"bad tools", "# T\n\n```yaml tools\ntools:\n  a.b:\n    rugs: []\n```\n", "mutant.md:6:5: "},
	{"bad rungs", "# T\n\n```yaml rungs\n- {name: primary, htp: {}}\n```\n", "mutant.md:4:"},
	{"bad steps", "# T\n\n```yaml steps\n- {id: a, tool: orders.lookup, nedds: [b]}\n```\n", "mutant.md:4:"},
	{"unknown tool", "# T\n\n```yaml plan\nname: p\nsteps:\n  - {id: a, tool: no.such}\n```\n", "mutant.md:6:"},
	{"bad settings", "# T\n\n```yaml config\nservr: x\n```\n", "mutant.md:4:"},
	{"bad notify file", "# T\n\n```yaml notify\nchanels: {}\n```\n", "mutant.md:4:"},
	{"valid, said to be invalid", "# T\n\n```yaml steps invalid\n- {id: a, tool: orders.lookup}\n```\n\n```output\nx\n```\n", "the parser takes it"},
	{"another message", "# T\n\n```yaml steps invalid\n- {id: a}\n```\n\n```output\nplan.yaml:1:1: oops\n```\n", "mutant.md:8: another output"},
	{"bad Go", "# T\n\n```go\nx := belay.Poilcy{}\n```\n", "mutant.md:4: undefined: belay.Poilcy"},
	{"bad Go declaration", "# T\n\n```go\nfunc f() error {\n\treturn 1\n}\n```\n", "mutant.md:5: cannot use 1"},
	{"bad Go file", "# T\n\n```go\npackage main\n\nfunc main() { undefinedThing() }\n```\n", "mutant.md:6: undefined: undefinedThing"},
	{"bad Python", "# T\n\n```python\ndef f(:\n```\n", "mutant.md:3: python3 cannot compile this"},
	{"bad JavaScript", "# T\n\n```js\nawait (;\n```\n", "mutant.md:3: node cannot compile this"},
	{"bad JSON", "# T\n\n```json\n{\"a\": }\n```\n", "mutant.md:3: not JSON"},
	{"JSON that does not fit", "# T\n\n```json plan\n{\"nme\": \"x\"}\n```\n", "mutant.md:3: this is no plan"},
	{"unknown schema", "# T\n\n```json plam\n{}\n```\n", "mutant.md:3: json plam: "},
	{"bad HTTP", "# T\n\n```http\nGIVE /x\n```\n", "mutant.md:3: begin with a request"},
	{"unknown metric", "# T\n\n```promql\nrate(belay_no_such_total[5m])\n```\n", "mutant.md:4: no program exports a metric belay_no_such_total"},
	{"file without a story", "# T\n\n```yaml plan file=x.yaml\nname: p\nsteps:\n  - {id: a, tool: orders.lookup}\n```\n", "only a story has files"},
	{"output of nothing", "# T\n\n```text\nx\n```\n\n```output\nx\n```\n", "mutant.md:7: this output belongs to no block"},
}

// TestMistakesAreFound: a check that finds nothing proves nothing.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := parsePage("docs/mutant.md", m.page)
			found := append(append(p.problems, checkLinks(p)...), checkSpans(p)...)
			for _, b := range p.blocks {
				found = append(found, checkBlock(b)...)
			}
			mustSay(t, found, m.says)
		})
	}
}

func mustSay(t *testing.T, found []problem, says string) {
	t.Helper()
	if len(found) != 1 {
		t.Errorf("%d mistakes are found, not one: %v", len(found), found)
	}
	for _, p := range found {
		if !strings.Contains(p.String(), says) {
			t.Errorf("said was\n%s\nand not\n%s", p, says)
		}
	}
}

const storyStart = "# T\n<!-- story -->\n\n"

var badStories = []struct{ name, page, says string }{
	{"another output", "```sh\necho one\necho two\n```\n\n```output\none\nthree\n```\n", "mutant.md:11: another output than the page shows\nthe page shows\n    three\nprinted was\n    one\n    two"},
	{"more output", "```sh\necho one\necho two\n```\n\n```output\none\n```\n", "mutant.md:10: another output than the page shows\nmore was printed"},
	{"failing command", "```sh\ntrue\nfalse | false\ntrue\n```\n", "mutant.md:6: `false` fails"},
	{"another exit code", "```sh exit=3\nexit 4\n```\n", "mutant.md:4: it exits with 4, not with 3"},
	{"nobody listens", "```sh\nexec 2>/dev/null\ndispatcher dev --nonsense &\nwait $!\n```\n", "mutant.md:7: `wait $!` fails"},
}

func TestBadStoriesAreFound(t *testing.T) {
	t.Parallel()
	for _, m := range badStories {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				t.Skip("stories are executed without -short")
			}
			mustSay(t, tell(t, parsePage("docs/mutant.md", storyStart+m.page)), m.says)
		})
	}
}

// TestStory: what a story can do, in one.
func TestStory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("stories are executed without -short")
	}
	report(t, tell(t, parsePage("docs/mutant.md", storyStart+"```sh\nname=world\ndispatcher dev --tools examples/tools.yaml &\n```\n\n```output\n…\n  Console  http://127.0.0.1:8222  …\n…\n```\n\n"+
		"```sh exit=64\ndispatcher runs nonsense\n```\n\n```output\nunknown command …\n…\n```\n\n"+
		"<!-- file=hello.txt\nhello\n-->\n\n```sh\necho \"$(cat hello.txt) $name\"\ncurl -s http://127.0.0.1:8222/healthz\ndispatcher run examples/basic.yaml 2>/dev/null\n```\n\n```output\nhello world\nok\n…\n```\n")))
}

func TestOutputsAreCompared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"a\nb", "a\nb\n", true}, {"a\n…\nd", "a\nb\nc\nd", true}, {"a\n…", "a", true}, {"…\nb", "a\nb", true}, {"a …c", "a bc", true}, {"a", "\x1b[1ma\x1b[0m  ", true}, {"a", "go: downloading x v1\na", true}, {"a", "21:06:58.329 \x1b[93mWRN\x1b[0m nats-server: pipe - cid:48 - Readloop processing time: 4.9s\na", true}, {"a", "  ▸ pay  payments.pay/primary running on vm-1  +2s\na", true},
		{"a\n…\nd", "a\nb\nc", false}, {"a", "a\nb", false}, {"a\nb", "a", false}, {"a…", "b", false}, {"", "", true}, {"…\nx\n…\nx", "x\ny\nx", true},
	} {
		if _, how := differs(printed(c.want), printed(c.got)); (how == "") != c.same {
			t.Errorf("%q and %q: %q", c.want, c.got, how)
		}
	}
}
