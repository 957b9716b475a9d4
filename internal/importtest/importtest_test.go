// Package importtest holds the architecture as a table: who may import whom, checked by go test. The first rule that
// matches a package counts.
package importtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// rule says what packages of this module, and which notable others, a package may import.
type rule struct {
	pkg    string   // path.Match pattern below belay/
	may    []string // path.Match patterns below belay/
	nats   bool     // may import nats.go
	stdlib []string // if set, the only packages of the standard library
	why    string
}

var rules = []rule{
	{pkg: "internal/outside", stdlib: []string{"unicode"}, why: "which characters a reader cannot see; facts, no state"},
	{pkg: "internal/steps", may: []string{"internal/outside"}, stdlib: []string{"bytes", "cmp", "crypto/sha256", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "io", "maps", "math", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8", "golang.org/x/text/unicode/norm"},
		why: "the core is pure: no context, sync, os, net, log, rand; outside and norm are tables of characters"},
	{pkg: "internal/wire", may: []string{"internal/steps"}, nats: true, why: "names and bytes, no connection"},
	{pkg: "internal/bus", may: []string{"internal/steps", "internal/wire"}, nats: true, why: "hands on JetStream, no decisions"},
	{pkg: "internal/bus/bustest", may: []string{"internal/bus"}, why: "a real server for tests"},
	{pkg: "internal/fleet", may: []string{"internal/bus"}, why: "which workers run"},
	{pkg: "internal/executor", may: []string{"internal/steps"}, why: "the seam knows nothing of queues"},
	{pkg: "internal/executor/executortest", may: []string{"internal/steps", "internal/executor"}, why: "the suite serves every plug-in"},
	{pkg: "internal/executor/cache", may: []string{"internal/steps", "internal/wire", "internal/executor"}, nats: true, why: "keeps results in a bucket"},
	{pkg: "internal/executor/nats", may: []string{"internal/steps", "internal/wire", "internal/executor"}, nats: true, why: "talks to NATS services"},
	{pkg: "internal/executor/*", may: []string{"internal/steps", "internal/executor"}, why: "plug-ins never import one another"},
	{pkg: "internal/plan", may: []string{"internal/steps", "internal/wire", "internal/executor"}, why: "documents, no queue"},
	{pkg: "internal/dlq", may: []string{"internal/steps", "internal/wire", "internal/bus"}, nats: true, why: "the escalation stream"},
	{pkg: "internal/runlog", may: []string{"internal/steps", "internal/wire", "internal/bus", "internal/plan", "internal/dlq"}, why: "the one fold"},
	{pkg: "internal/dispatch", may: []string{"internal/steps", "internal/wire", "internal/bus", "internal/runlog", "internal/dlq", "internal/plan"}, why: "the loop does not know workers"},
	{pkg: "internal/notify", may: []string{"internal/outside", "internal/steps", "internal/plan", "internal/executor"}, why: "tells people; the caller has the escalations and the store"},
	{pkg: "internal/console/browser", may: []string{"internal/steps", "internal/handoff", "internal/console", "internal/console/consoletest"}, why: "tests in a browser"},
	{pkg: "internal/console/consoletest", may: []string{"internal/steps", "internal/fleet", "internal/runlog", "internal/handoff", "internal/console"}, why: "a world for tests, without a queue"},
	{pkg: "internal/console", may: []string{"internal/outside", "internal/steps", "internal/fleet", "internal/plan", "internal/runlog", "internal/handoff"}, why: "pages; it reaches the engine only through its own interfaces"},
	{pkg: "internal/api", may: []string{"internal/steps", "internal/bus", "internal/fleet", "internal/access", "internal/runlog", "internal/handoff"}, why: "people's work over HTTP"},
	{pkg: "internal/access", may: []string{"internal/wire", "internal/bus", "internal/handoff"}, why: "who may do what"},
	{pkg: "internal/approval", may: []string{"internal/steps", "internal/wire", "internal/bus"}, why: "signs and checks; who may approve is decided elsewhere"},
	{pkg: "internal/handoff", may: []string{"internal/steps", "internal/wire", "internal/bus", "internal/runlog", "internal/dlq", "internal/plan"}, why: "people"},
	{pkg: "internal/toolbox", may: []string{"internal/steps", "internal/bus", "internal/plan", "internal/executor", "internal/executor/*", "internal/wire"}, why: "from a tools file to executors"},
	{pkg: "internal/worker", may: []string{"internal/steps", "internal/wire", "internal/bus", "internal/fleet", "internal/executor", "internal/executor/*", "internal/toolbox", "internal/observe", "internal/runlog", "internal/plan"}, why: "the worker does not know the dispatcher; before it acts it finds in the run's log that it is asked to"},
	{pkg: "internal/observe", may: []string{"internal/steps", "internal/wire", "internal/worker", "internal/dispatch"}, why: "watches"},
	{pkg: "config", may: []string{"internal/wire", "internal/plan"}, why: "settings"},
	{pkg: "internal/importtest", why: "this table"},
	{pkg: "examples", may: []string{"internal/cli"}, why: "each example is run as a user runs it"},
	{pkg: "examples/goworker", may: []string{"."}, why: "what users write, with the public package alone"},
	{pkg: "examples/*", why: "the outside world knows nothing of Belay"},
	{pkg: "cmd/*", may: []string{"internal/cli"}, why: "main only delegates"},
	{pkg: "internal/*", may: []string{"*", "internal/*", "internal/*/*", "config"}, nats: false, why: "the shell may use all"},
	{pkg: ".", may: []string{"internal/*", "internal/*/*", "config"}, why: "the public package"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "belay"), "/")
		if name == "" {
			name = "."
		}
		r, ok := ruleFor(name)
		if !ok {
			t.Errorf("%s has no rule: add one to the table, with its reason", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if msg := r.forbids(imp); msg != "" {
				t.Errorf("%s imports %s: %s (%s)", p.ImportPath, imp, msg, r.why)
			}
		}
	}
}

func ruleFor(name string) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, name) })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

func (r rule) forbids(imp string) string {
	own, isOwn := strings.CutPrefix(imp, "belay/")
	if imp == "belay" {
		own, isOwn = ".", true
	}
	switch {
	case isOwn && !slices.ContainsFunc(r.may, func(p string) bool { return matches(p, own) }):
		return "not in its list"
	case isOwn:
		return ""
	case strings.HasPrefix(imp, "github.com/nats-io/nats.go") && !r.nats:
		return "only the hands on JetStream may import nats.go"
	case r.stdlib != nil && !slices.Contains(r.stdlib, imp):
		return "not in its list of standard packages"
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

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "belay/...")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(out); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}
