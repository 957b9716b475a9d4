package deploy_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/freeport"
)

// service is what a service of compose.yaml starts with.
type service struct {
	Image       string
	Entrypoint  []string
	Command     []string
	Environment map[string]string
	Volumes     []string
}

// composed stands for Docker: it starts what compose.yaml says as processes on the loopback, with ports and folders of the test's
// own in place of the containers'.
type composed struct {
	services map[string]service
	programs map[string]string // path by the name of an image or of its program
	state    string            // a folder for each volume
	nats     string            // address in place of nats:4222
	yours    string            // address in place of yours:8080
}

// TestCompose does what compose.yaml says without Docker: a server with the shipped permissions, two dispatchers, two workers, a
// refund that a person approves, and the notice of it.
func TestCompose(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds and starts seven programs")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here, which stands in for what is yours")
	}
	c := compose(t)
	c.programs["python3"] = python
	c.start(t, "nats")
	yours := c.start(t, "yours")
	c.start(t, "dispatcher-1")
	c.start(t, "dispatcher-2")
	workers := []*output{c.start(t, "worker-1"), c.start(t, "worker-2")}
	for _, w := range workers {
		w.waitFor(t, "worker takes steps")
	}
	shop := strings.TrimSpace(c.run(t, "admin", nil, "token", "create", "shop", "--role", "submitter", "--whole-plans", "--tool", "*", "--unsafe"))
	c.run(t, "submit", []string{"BELAY_API_TOKEN=" + shop}, "run", "/etc/belay/plan.yaml", "--input", "order=o-1", "--id", "r1", "--detach")
	yours.waitFor(t, "notice ")
	if text := yours.text(); strings.Contains(text, "refund {") {
		t.Fatalf("the refund was made before anybody approved it:\n%s", text)
	}
	token := strings.TrimSpace(c.run(t, "admin", nil, "token", "create", "zoe", "--role", "approver"))
	var open []struct{ ID string }
	if err := json.Unmarshal([]byte(c.run(t, "desk", nil, "esc", "ls", "-o", "json")), &open); err != nil || len(open) != 1 {
		t.Fatal(open, err)
	}
	c.run(t, "desk", []string{"BELAY_API_TOKEN=" + token}, "esc", "decide", open[0].ID, "approve", "--reason", "as agreed")
	yours.waitFor(t, "refund {'order': 'o-1'}")
}

// compose reads compose.yaml, makes passwords as it says, and builds the programs.
func compose(t *testing.T) *composed {
	t.Helper()
	text, err := os.ReadFile("compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := exec.CommandContext(t.Context(), "compose/secrets").Output()
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(secrets)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	text = []byte(os.Expand(string(text), func(name string) string {
		name, _, _ = strings.Cut(name, ":?")
		if env[name] == "" {
			t.Errorf("compose.yaml needs %s, which is not among the secrets", name)
		}
		return env[name]
	}))
	var file struct{ Services map[string]service }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	bin := cmp.Or(os.Getenv("BELAY_PROGRAMS"), t.TempDir()) // Go links those that do not stand there as these sources make them
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "../cmd/dispatcher", "../cmd/worker", "github.com/nats-io/nats-server/v2")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := &composed{services: file.Services, state: t.TempDir(), programs: map[string]string{
		"nats": bin + "/nats-server", "belay": bin + "/dispatcher", "worker": bin + "/worker",
	}, nats: freeport.Address(t), yours: freeport.Address(t)}
	return c
}

// command is what a service starts, with more arguments or others in place of its own.
func (c *composed) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	s, ok := c.services[name]
	if !ok {
		t.Fatalf("compose.yaml has no service %s", name)
	}
	_, port, _ := strings.Cut(c.yours, ":")
	here := []string{
		`"127.0.0.1:4222"`, `"` + c.nats + `"`, "0.0.0.0", "127.0.0.1", "nats:4222", c.nats, // where the server listens, and is found
		`("", int`, `("127.0.0.1", int`, "yours:8080", c.yours, "8080", port,
		"=:8222", "=" + freeport.Address(t), "=:9465", "=" + freeport.Address(t),
		"/var/lib/nats", filepath.Join(c.state, "nats"),
	}
	for _, v := range s.Volumes {
		if from, to, _ := strings.Cut(strings.TrimSuffix(v, ":ro"), ":"); from[0] == '.' {
			here = append(here, to, c.mount(t, filepath.Join("compose", from), strings.NewReplacer(here...)))
		}
	}
	replace := strings.NewReplacer(here...).Replace
	program, args := append(slices.Clone(s.Entrypoint), strings.Split(s.Image, ":")[0])[0], append(slices.Clone(s.Command), args...)
	if program == "python" {
		program, args = args[0], args[1:]
	}
	cmd := exec.CommandContext(t.Context(), c.programs[program])
	for _, a := range args {
		cmd.Args = append(cmd.Args, replace(a))
	}
	cmd.Env = append(os.Environ(), "BELAY_DATA_DIR="+filepath.Join(c.state, name), "HOME="+c.state)
	for k, v := range s.Environment {
		cmd.Env = append(cmd.Env, k+"="+replace(v))
	}
	return cmd
}

// mount is a copy of a file or folder that compose.yaml mounts, changed to what is here.
func (c *composed) mount(t *testing.T, from string, here *strings.Replacer) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(from))
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(in, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(in, []byte(here.Replace(string(text))), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// run does a command as a service of the profile "commands", and gives what it prints.
func (c *composed) run(t *testing.T, name string, env []string, args ...string) string {
	t.Helper()
	cmd := c.command(t, name, args...)
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return string(out)
}

// start starts a service, which ends with the test.
func (c *composed) start(t *testing.T, name string) *output {
	t.Helper()
	o := &output{name: name, more: make(chan struct{}, 1)}
	cmd := c.command(t, name)
	cmd.Stdout, cmd.Stderr = o, o
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, o.text())
		}
	})
	return o
}

// output is what a process has written so far.
type output struct {
	name string
	more chan struct{}
	mu   sync.Mutex
	all  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all.Write(p)
	select {
	case o.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// waitFor waits until the process has written something.
func (o *output) waitFor(t *testing.T, what string) {
	t.Helper()
	for late := time.After(time.Minute); !strings.Contains(o.text(), what); {
		select {
		case <-o.more:
		case <-late:
			t.Fatalf("%s has not written %q in a minute:\n%s", o.name, what, o.text())
		}
	}
}
