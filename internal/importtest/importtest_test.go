// Package importtest holds the architecture as tests: who may import whom and how long the longest chain of imports is
// (this file), that what is exported says what it is (documented_test.go), and that a word means one thing
// (glossary_test.go). The first rule that matches a package counts.
package importtest

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// maxDepth is how many imports the longest chain among internal packages may have. It is only ever lowered.
const maxDepth = 7

// rule says what packages of this module, and which notable others, a package may import.
type rule struct {
	pkg    string   // path.Match pattern below the module
	may    []string // path.Match patterns below the module
	nats   bool     // may import nats.go
	server bool     // may import nats-server
	stdlib []string // if set, the only packages from outside the module
	why    string
}

var rules = []rule{
	{pkg: "internal/text", stdlib: []string{"fmt", "strings", "unicode", "unicode/utf16", "unicode/utf8"}, why: "what a reader cannot see, and what fits; facts, no state"},
	{pkg: "internal/steps/view", may: []string{"internal/text", "internal/steps"}, stdlib: []string{"bytes", "cmp", "crypto/sha256", "encoding/hex", "encoding/json", "fmt", "maps", "slices", "strconv", "strings", "time", "unicode/utf8"}, why: "shows what the core has decided; as pure as the core"},
	{pkg: "internal/stepstest", may: []string{"internal/steps", "internal/steps/view"}, why: "a world for tests, without a queue"},
	{pkg: "internal/steps", stdlib: []string{"bytes", "cmp", "crypto/sha256", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "io", "maps", "math", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8", "golang.org/x/text/unicode/norm"},
		why: "the core is pure: no context, sync, os, net, log, rand; norm is tables of characters"},
	{pkg: "internal/exactjson", stdlib: []string{"bytes", "encoding", "encoding/json", "errors", "fmt", "io", "reflect", "strconv", "strings", "sync", "time", "unicode", "unicode/utf8"}, why: "how JSON is read; it knows no document"},
	{pkg: "internal/exactjson/exactjsontest", stdlib: []string{"bytes", "encoding/json", "strings", "testing", "unicode", "unicode/utf8"}, why: "what holds for whatever reads a document"},
	{pkg: "internal/wire", may: []string{"internal/exactjson", "internal/steps"}, nats: true, why: "names and bytes, no connection"},
	{pkg: "internal/bus", may: []string{"internal/exactjson", "internal/wire"}, nats: true, why: "hands on JetStream, no decisions"},
	{pkg: "internal/bus/embedded", server: true, why: "the NATS server in this process"},
	{pkg: "internal/rights", may: []string{"internal/wire", "internal/bus"}, why: "what each kind of program may do on a server; it connects to none"},
	{pkg: "internal/borrow", may: []string{"internal/bus"}, why: "a public client on the bus of an engine, which no exported function may show"},
	{pkg: "internal/bus/bustest", may: []string{"internal/bus", "internal/bus/embedded", "internal/freeport"}, nats: true, why: "a real server for tests"},
	{pkg: "internal/genai", may: []string{"internal/steps"}, why: "names of the conventions for generative AI"},
	{pkg: "internal/outbound", stdlib: []string{"context", "errors", "fmt", "net", "net/http", "net/netip", "net/url", "strings", "sync", "syscall", "time"}, why: "where connections may go; it knows nothing of what they are for"},
	{pkg: "internal/executor", may: []string{"internal/outbound", "internal/exactjson", "internal/steps"}, why: "the seam knows nothing of queues"},
	{pkg: "internal/executor/executortest", may: []string{"internal/steps", "internal/executor"}, why: "the suite serves every plug-in"},
	{pkg: "internal/executor/cache", may: []string{"internal/steps", "internal/executor"}, nats: true, why: "keeps results in a bucket"},
	{pkg: "internal/executor/nats", may: []string{"internal/steps", "internal/wire", "internal/executor"}, nats: true, why: "talks to NATS services"},
	{pkg: "internal/executor/group", stdlib: []string{"errors", "os", "os/exec", "path/filepath", "strconv", "strings", "syscall"}, why: "processes and their groups; it knows no rung"},
	{pkg: "internal/executor/command", may: []string{"internal/steps", "internal/executor", "internal/executor/group"}, why: "starts programs"},
	{pkg: "internal/executor/mcp", may: []string{"internal/outbound", "internal/exactjson", "internal/steps", "internal/executor", "internal/executor/group"}, why: "talks to MCP servers, some of which are programs"},
	{pkg: "internal/executor/model", may: []string{"internal/outbound", "internal/exactjson", "internal/steps", "internal/genai", "internal/executor"}, why: "names its calls as others do"},
	{pkg: "internal/executor/*", may: []string{"internal/outbound", "internal/exactjson", "internal/steps", "internal/executor"}, why: "plug-ins never import one another"},
	{pkg: "internal/scriptedmodel", may: []string{"internal/yamldoc"}, why: "a model for tests and examples; it knows nothing of runs"},
	{pkg: "internal/yamldoc", why: "documents that people write; it knows no kind of them"},
	{pkg: "internal/expr", may: []string{"internal/yamldoc", "internal/steps"}, why: "expressions over a run's values; no documents, no files"},
	{pkg: "internal/plan", may: []string{"internal/outbound", "internal/exactjson", "internal/expr", "internal/yamldoc", "internal/steps", "internal/steps/view", "internal/wire", "internal/executor"}, why: "documents, no queue"},
	{pkg: "internal/prove", may: []string{"internal/plan", "internal/expr", "internal/yamldoc", "internal/steps", "internal/wire"}, why: "what can be known of a plan before it runs; no files, no queue; of the wire, only how long a word is on its way"},
	{pkg: "internal/sim", may: []string{"internal/steps", "internal/wire"}, why: "a world on a virtual clock: the core's own rules, nothing that waits"},
	{pkg: "internal/drill", may: []string{"internal/sim", "internal/steps", "internal/expr", "internal/plan", "internal/executor", "internal/ladder"}, why: "plays plans; it reaches nothing outside"},
	{pkg: "internal/crashpoint", stdlib: []string{"os", "strconv", "strings", "sync/atomic", "syscall"}, why: "names of places; nothing in programs that people run"},
	{pkg: "internal/dlq", may: []string{"internal/exactjson", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus"}, nats: true, why: "the escalation stream"},
	{pkg: "internal/runlog", may: []string{"internal/exactjson", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/plan"}, why: "the one fold, the only builder and parser of log messages"},
	{pkg: "internal/tally", may: []string{"internal/exactjson", "internal/steps", "internal/wire", "internal/bus"}, why: "compares the log with what it held, and says of what runs may have lost something; it folds none"},
	{pkg: "internal/runindex", may: []string{"internal/exactjson", "internal/steps", "internal/wire", "internal/bus", "internal/runlog"}, why: "picks runs for lists; what is shown of them is read elsewhere"},
	{pkg: "internal/gates", may: []string{"internal/exactjson", "internal/steps", "internal/wire", "internal/bus"}, why: "what people have closed, and where that is kept; who may is decided elsewhere"},
	{pkg: "internal/schedules", may: []string{"internal/exactjson", "internal/steps", "internal/wire", "internal/bus", "internal/runlog"}, why: "what people want run again and again, and the runs that come of it; who may is decided elsewhere"},
	{pkg: "internal/breaker", may: []string{"internal/exactjson", "internal/text", "internal/steps", "internal/bus"}, why: "which targets fail for everybody, and where that is kept; what becomes of a call the core decides"},
	{pkg: "internal/score", may: []string{"internal/exactjson", "internal/text", "internal/steps", "internal/bus", "internal/runlog"}, why: "counts what came of calls, and judges it; nothing is decided by that"},
	{pkg: "internal/turns", may: []string{"internal/steps"}, stdlib: []string{"cmp", "maps", "math", "slices", "time"}, why: "who goes next of those that wait; pure"},
	{pkg: "internal/limits", may: []string{"internal/turns", "internal/exactjson", "internal/text", "internal/steps", "internal/wire", "internal/bus"}, why: "what all dispatchers share about calls that may not begin yet"},
	{pkg: "internal/dispatch", may: []string{"internal/breaker", "internal/limits", "internal/turns", "internal/gates", "internal/crashpoint", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/runlog", "internal/dlq"}, why: "the loop does not know workers"},
	{pkg: "internal/notify", may: []string{"internal/gates", "internal/limits", "internal/score", "internal/outbound", "internal/exactjson", "internal/yamldoc", "internal/text", "internal/steps", "internal/steps/view", "internal/wire", "internal/executor", "internal/bus", "internal/handoff"}, why: "decides who gets which notice, and its loop sends it"},
	{pkg: "internal/doctor", may: []string{"internal/outbound", "internal/approval", "internal/bus", "internal/passkey", "internal/rights", "internal/tally", "internal/text"}, why: "looks at an installation from outside, and changes nothing"},
	{pkg: "internal/passkey", may: []string{"internal/exactjson", "internal/text", "internal/steps", "internal/bus"}, why: "checks what passkeys have signed, and keeps which there are; who may is decided elsewhere"},
	{pkg: "internal/passkey/passkeytest", may: []string{"internal/steps", "internal/passkey"}, why: "a device for tests"},
	{pkg: "internal/server/pages/browser", why: "tests in a browser"},
	{pkg: "internal/server/pages/pagestest", may: []string{"internal/passkey", "internal/schedules", "internal/limits", "internal/score", "internal/breaker", "internal/gates", "internal/people", "internal/steps", "internal/steps/view", "internal/bus", "internal/runlog", "internal/doctor", "internal/handoff", "internal/server/pages"}, why: "a world for tests, without a queue"},
	{pkg: "internal/server/pages", may: []string{"internal/passkey", "internal/schedules", "internal/limits", "internal/score", "internal/breaker", "internal/gates", "internal/injection", "internal/doctor", "internal/exactjson", "internal/people", "internal/text", "internal/steps", "internal/steps/view", "internal/bus", "internal/plan", "internal/runlog", "internal/handoff"}, why: "pages; it reaches the engine only through its own interfaces"},
	{pkg: "internal/catalog", may: []string{"internal/plan", "internal/prove", "internal/steps", "internal/yamldoc"}, why: "what may be submitted; no queue, and nothing of who asks"},
	{pkg: "internal/server/api", may: []string{"internal/passkey", "internal/schedules", "internal/limits", "internal/score", "internal/breaker", "internal/doctor", "internal/gates", "internal/exactjson", "internal/catalog", "internal/people", "internal/requests", "internal/steps", "internal/steps/view", "internal/bus", "internal/server/gate", "internal/runlog", "internal/handoff"}, why: "people's work over HTTP"},
	{pkg: "internal/server/mcptools", may: []string{"internal/exactjson", "internal/catalog", "internal/people", "internal/text", "internal/steps", "internal/steps/view", "internal/runlog", "internal/server/gate"}, why: "agents over MCP; it starts and shows through the API alone, and decides nothing"},
	{pkg: "internal/server/gate", may: []string{"internal/exactjson", "internal/people", "internal/access"}, why: "who gets in over HTTP"},
	{pkg: "internal/access/accesstest", may: []string{"internal/access", "internal/bus"}, why: "tokens that two processes know, for tests"},
	{pkg: "internal/access", may: []string{"internal/outbound", "internal/exactjson", "internal/people", "internal/wire", "internal/bus"}, why: "who may do what"},
	{pkg: "internal/people", may: []string{"internal/steps"}, why: "who asks, what they want and whether they may; no I/O"},
	{pkg: "internal/approval", may: []string{"internal/exactjson", "internal/steps", "internal/bus"}, why: "signs and checks; who may approve is decided elsewhere"},
	{pkg: "internal/requests", may: []string{"internal/exactjson", "internal/people", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/runlog", "internal/plan"}, why: "what programs ask about runs, and who may; who somebody is, others know"},
	{pkg: "internal/handoff", may: []string{"internal/crashpoint", "internal/exactjson", "internal/people", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/runlog", "internal/dlq", "internal/plan"}, why: "people"},
	{pkg: "internal/ladder", may: []string{"internal/outbound", "internal/exactjson", "internal/steps", "internal/bus", "internal/plan", "internal/genai", "internal/executor", "internal/executor/*"}, why: "from a tools file to executors"},
	{pkg: "internal/injection", may: []string{"internal/exactjson", "internal/steps", "internal/bus", "internal/executor"}, why: "faults on purpose, at the seam to executors; the core does not know of them"},
	{pkg: "internal/worker", may: []string{"internal/injection", "internal/crashpoint", "internal/steps", "internal/wire", "internal/bus", "internal/executor", "internal/ladder", "internal/runlog", "internal/plan"}, why: "the worker does not know the dispatcher; before it acts it finds in the run's log that it is asked to"},
	{pkg: "internal/observe", may: []string{"internal/genai", "internal/steps", "internal/steps/view"}, why: "watches"},
	{pkg: "internal/audit", may: []string{"internal/exactjson", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/runlog"}, why: "reads the logs; it changes nothing but its own records"},
	{pkg: "internal/server", may: []string{"internal/doctor", "internal/gates", "internal/tally", "internal/injection", "internal/executor", "internal/catalog", "internal/people", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/dlq", "internal/runlog", "internal/handoff", "internal/notify", "internal/server/api", "internal/server/gate", "internal/server/mcptools", "internal/server/pages"},
		why: "serves the pages, the API and agents"},
	{pkg: "internal/engine", may: []string{"internal/passkey", "internal/people", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/bus/embedded", "internal/plan", "internal/requests", "internal/runindex", "internal/runlog", "internal/tally", "internal/dlq", "internal/handoff",
		"internal/approval", "internal/audit", "internal/breaker", "internal/dispatch", "internal/gates", "internal/limits", "internal/schedules", "internal/score", "internal/worker", "internal/ladder"}, why: "puts the parts of a process together; it serves no pages"},
	{pkg: "internal/cli", may: []string{"internal/outbound", "config", "internal/executor/remote", "internal/injection", "internal/text", "internal/yamldoc", "internal/bus", "internal/runlog", "internal/observe"}, why: "what both programs share; neither program's commands"},
	{pkg: "internal/cli/worker", may: []string{"internal/audit", "internal/passkey", "internal/manual", "internal/bus", "internal/rights", "internal/plan", "internal/executor/gofunc", "internal/injection", "internal/runlog", "internal/approval", "internal/worker", "internal/ladder", "internal/observe", "internal/cli"},
		why: "the worker's command, without what only a dispatcher needs; it holds checkpoints of the audit trail"},
	{pkg: "internal/schema", why: "JSON Schemas, made of the types of others by a test"},
	{pkg: "internal/freeport", stdlib: []string{"context", "errors", "math/rand/v2", "net", "strconv", "syscall", "testing"}, why: "ports for tests"},
	{pkg: "internal/cli/clitest", may: []string{"internal/plan", "internal/schema", "internal/freeport"}, nats: true, why: "scripts that run the programs from outside"},
	{pkg: "internal/cli/dispatcher", may: []string{"internal/passkey", "internal/limits", "internal/score", "internal/outbound", "internal/schedules", "internal/breaker", "internal/gates", "internal/doctor", "internal/injection", "internal/exactjson", "internal/drill", "internal/sim", "internal/manual", "internal/scriptedmodel", "internal/catalog", "internal/conformance", "internal/people", "internal/requests", "internal/yamldoc", "internal/cli", "internal/text", "internal/steps", "internal/steps/view", "internal/wire", "internal/bus", "internal/bus/embedded", "internal/plan", "internal/prove", "internal/executor", "internal/executor/gofunc", "internal/executor/mcp", "internal/runlog", "internal/tally", "internal/rights", "internal/dlq", "internal/handoff",
		"internal/notify", "internal/approval", "internal/audit", "internal/access", "internal/dispatch", "internal/worker", "internal/ladder", "internal/observe", "internal/engine", "internal/schema", "internal/server/pages", "internal/server/gate", "internal/server/api", "internal/server/mcptools", "internal/server"},
		why: "the dispatcher's commands"},
	{pkg: "internal/conformance", may: []string{"internal/steps", "internal/wire", "internal/bus", "internal/bus/embedded"}, nats: true, why: "sees what crosses the network as somebody from outside"},
	{pkg: "internal/chaos", why: "kills the programs from outside"},
	{pkg: "docs", stdlib: []string{"embed"}, why: "the manual is text"},
	{pkg: "deploy", stdlib: []string{"embed"}, why: "files that the manual links to"},
	{pkg: "internal/manual", may: []string{"docs", "clients", "config", "deploy", "examples"}, why: "the manual as pages; only its tests know the programs that it shows"},
	{pkg: "internal/importtest", why: "this table"},
	{pkg: "config", may: []string{"internal/yamldoc"}, why: "settings"},
	{pkg: "clients", why: "clients in other languages are run as their users run them"},
	{pkg: "examples", why: "each example is run as a user runs it"},
	{pkg: "examples/natsworker", nats: true, why: "a worker that nobody here has written: nats.go and JSON"},
	{pkg: "examples/*", why: "the outside world knows nothing of Belay"},
	{pkg: "cmd/*", may: []string{"internal/cli", "internal/cli/*"}, why: "main only delegates"},
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		r, ok := ruleFor(p.name)
		if !ok {
			t.Errorf("%s has no rule: add one to the table, with its reason", p.name)
			continue
		}
		for _, imp := range p.imports {
			if msg := r.forbids(imp); msg != "" {
				t.Errorf("%s imports %s: %s (%s)", p.name, imp.path, msg, r.why)
			}
		}
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	imports := map[string][]string{}
	for _, p := range load(t) {
		for _, imp := range p.imports {
			if imp.own && strings.HasPrefix(imp.path, "internal/") && strings.HasPrefix(p.name, "internal/") {
				imports[p.name] = append(imports[p.name], imp.path)
			}
		}
	}
	var longest []string
	known := map[string][]string{}
	for p := range imports {
		if chain := chainFrom(p, imports, known); len(chain) > len(longest) {
			longest = chain
		}
	}
	if depth := len(longest) - 1; depth > maxDepth {
		t.Errorf("the longest chain among internal packages has %d imports, at most %d are allowed: %s", depth, maxDepth, strings.Join(longest, " > "))
	}
}

// chainFrom is a longest chain of imports that begins with p.
func chainFrom(p string, imports, known map[string][]string) []string {
	if c, ok := known[p]; ok {
		return c
	}
	var best []string
	for _, to := range imports[p] {
		if c := chainFrom(to, imports, known); len(c) > len(best) {
			best = c
		}
	}
	known[p] = append([]string{p}, best...)
	return known[p]
}

func ruleFor(name string) (rule, bool) {
	all := slices.Concat(publicRules, rules)
	i := slices.IndexFunc(all, func(r rule) bool { return matches(r.pkg, name) })
	if i < 0 {
		return rule{}, false
	}
	return all[i], true
}

func (r rule) forbids(imp imported) string {
	switch {
	case imp.own && !slices.ContainsFunc(r.may, func(p string) bool { return matches(p, imp.path) }):
		return "not in its list"
	case imp.own:
		return ""
	case strings.HasPrefix(imp.path, "github.com/nats-io/nats.go") && !r.nats:
		return "only the hands on JetStream may import nats.go"
	case strings.HasPrefix(imp.path, "github.com/nats-io/nats-server") && !r.server:
		return "only the embedded server may import nats-server"
	case r.stdlib != nil && !slices.Contains(r.stdlib, imp.path):
		return "not in its list of packages from outside"
	}
	return ""
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	if err != nil {
		panic(err)
	}
	return ok
}

// TestTableIsExact finds rows and imports in them that nobody needs any more: what is allowed says how things are. It
// runs in .ci/run; while packages move it would only be in the way.
func TestTableIsExact(t *testing.T) {
	t.Parallel()
	if os.Getenv("BELAY_EXACT") == "" {
		t.Skip("set BELAY_EXACT to compare the table with the imports that are there")
	}
	used := make([]map[string]bool, len(rules))
	for i := range used {
		used[i] = map[string]bool{}
	}
	for _, p := range load(t) {
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, p.name) })
		if i < 0 {
			continue // TestImports says so
		}
		used[i][""] = true
		for _, imp := range p.imports {
			for _, may := range rules[i].may {
				if imp.own && matches(may, imp.path) {
					used[i][may] = true
				}
			}
		}
	}
	for i, r := range rules {
		if !used[i][""] {
			t.Errorf("no package is %s: remove its row", r.pkg)
			continue
		}
		for _, may := range r.may {
			if !used[i][may] {
				t.Errorf("%s does not import %s any more: remove it from the row", r.pkg, may)
			}
		}
	}
}
