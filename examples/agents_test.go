package examples

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"belay/internal/freeport"
)

// ownModel copies the tools of an example with an agent, with free ports for its scripted model and its shop. It returns where
// the model is.
func (p *program) ownModel(example string) (model string) {
	p.t.Helper()
	here, err := os.Getwd()
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(example, "tools.yaml"))
	if err != nil {
		p.t.Fatal(err)
	}
	model, shop := freeport.Address(p.t), freeport.Address(p.t)
	for _, change := range [][2]string{
		{"[go, run, ../../cmd/dispatcher, scripted-model, --script, script.yaml", "[" + p.bin + ", scripted-model, --script, " + filepath.Join(here, example, "script.yaml")},
		{"[go, run, ../shop]", fmt.Sprintf("[go, run, ./shop, -listen, %q], dir: %q", shop, here)},
		{"127.0.0.1:8392", model}, {"127.0.0.1:8391", shop},
	} {
		if !bytes.Contains(text, []byte(change[0])) {
			p.t.Fatalf("%s/tools.yaml has no %s", example, change[0])
		}
		text = bytes.ReplaceAll(text, []byte(change[0]), []byte(change[1]))
	}
	p.tools = filepath.Join(p.home, "agent-tools.yaml")
	if err := os.WriteFile(p.tools, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return model
}

// withNode is an agent of somebody else's framework, with Belay's tools over MCP.
func withNode(file string) func(*program) {
	return func(p *program) {
		const node = "node_modules/.bin/node" // the one of package.json: some frameworks need a newer one than machines have
		if _, err := os.Stat("agents/" + node); err != nil {
			p.t.Skip("needs `npm ci` in examples/agents")
		}
		p.foreignAgent(filepath.FromSlash(node), file)
	}
}

func loop(p *program) {
	python, err := exec.LookPath("python3")
	if err != nil {
		p.t.Skip("python3 is missing")
	}
	p.foreignAgent(python, "loop.py")
}

// foreignAgent runs an agent whose dangerous tools are Belay's: it is told of a degraded result, its refund waits until a
// person has approved it, and is made once.
func (p *program) foreignAgent(argv ...string) {
	here, err := os.Getwd()
	if err != nil {
		p.t.Fatal(err)
	}
	model, address := p.ownModel("agents"), freeport.Address(p.t)
	ready := p.background(p.bin, "dev", "--tools", p.tools, "--nats-listen", "127.0.0.1:0", "--listen", address)
	code := regexp.MustCompile(`"sign-in":"(\w+)`).FindStringSubmatch(ready)
	if code == nil {
		p.t.Fatalf("no sign-in code: %s", ready)
	}
	if !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(here, "agents", argv[0])
	}
	agent := exec.CommandContext(p.t.Context(), argv[0], argv[1:]...)
	agent.Dir = "agents"
	agent.Env = append(p.environment(), "OPENAI_BASE_URL=http://"+model+"/v1", "BELAY_URL=http://"+address, "BELAY_MCP=http://"+address+"/mcp",
		"PYTHONPATH="+filepath.Join(here, "../clients/python"))
	var wrong bytes.Buffer
	agent.Stderr = &wrong
	out, err := agent.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		p.t.Fatal(err)
	}
	var said []string
	asked := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		page, waits := strings.CutPrefix(lines.Text(), "a person decides at ")
		if !waits {
			continue
		}
		if asked++; asked > 1 {
			continue
		}
		approve := exec.Command(p.bin, "esc", "decide", path.Base(page), "approve", "--data-dir", p.home)
		approve.Env = append(p.environment(), "BELAY_API_TOKEN="+code[1])
		if told, err := approve.CombinedOutput(); err != nil {
			p.t.Errorf("%v\n%s", err, told)
		}
	}
	all := strings.Join(said, "\n")
	if err := agent.Wait(); err != nil || asked != 1 || said[len(said)-1] != "We have refunded 120 EUR for order A-1009." || !strings.Contains(all, "degraded") {
		p.t.Errorf("%v\n%s\n%s", err, all, wrong.Bytes())
	}
	p.did("refunded")
}
