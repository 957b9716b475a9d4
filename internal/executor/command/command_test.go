//go:build unix

package command_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"belay/internal/executor"
	"belay/internal/executor/command"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

func text(s string) executor.Text { return func(any) (string, error) { return s, nil } }

func argv(args ...string) []executor.Text {
	texts := make([]executor.Text, len(args))
	for i, a := range args {
		texts[i] = text(a)
	}
	return texts
}

// shell is a command that runs a script. Only tests use a shell.
func shell(script string) executor.Command {
	return executor.Command{Argv: argv("sh", "-c", script), MaxBytes: executortest.Limit}
}

func making(script string) executortest.Make {
	return func(*testing.T) executor.Executor { return command.New(shell(script)) }
}

func fifo(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listen opens a fifo for reading and closes started when somebody writes to it. The result gets what was written
// once every process that holds the other end is gone.
func listen(t *testing.T, path string, started chan<- struct{}) <-chan string {
	t.Helper()
	all := make(chan string, 1)
	go func() {
		f, err := os.Open(path) // waits for the first writer
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		first := make([]byte, 1)
		if _, err := io.ReadFull(f, first); err != nil {
			t.Error(err)
		}
		close(started)
		rest, err := io.ReadAll(f)
		if err != nil {
			t.Error(err)
		}
		all <- string(first) + string(rest)
	}()
	return all
}

// hanging is a command with a grandchild, both of which hold the fifo open and never end.
func hanging(path string) executor.Command {
	return shell("exec 3>" + path + "; sleep 300 & echo up >&3; wait")
}

func TestConformance(t *testing.T) {
	executortest.Exercise(t, executortest.Subject{
		Succeed: making("cat"),
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			path := fifo(t, "life")
			gone := listen(t, path, started)
			t.Cleanup(func() { <-gone }) // waits for ever if a process were left
			return command.New(hanging(path))
		},
		Large:   making("head -c 2000000 /dev/zero | tr '\\0' 1"),
		Garbage: making("echo 'Traceback: { not json'"),
		Nothing: making("true"),
		BadUTF8: making(`printf '"\377"'`),
		Fail:    making("exit 3"),
	})
}

func TestExits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script string
		class  steps.Class
		status int
		says   string
	}{
		{"exit 1", steps.ToolError, 1, "exited with 1"},
		{"exit 75", steps.Unavailable, 75, "75"},
		{"exit 126", steps.ToolError, 126, "126"},
		{"no-such-program-at-all", steps.ToolError, 127, "127"}, // the shell did start, and may have done more before
		{"exit 255", steps.ToolError, 255, "255"},
		{"kill -9 $$", steps.ToolError, 137, "killed"},
		{"kill -TERM $$", steps.ToolError, 143, "terminated"},
		{"kill -9 0", steps.ToolError, 137, "killed"}, // its whole group, which is not ours
		{"echo '{}'; exit 1", steps.ToolError, 1, "exited with 1"},
	} {
		f := executortest.Fault(t.Context(), t, command.New(shell(c.script)), executortest.Request(`{}`))
		if f.Class != c.class || f.Status != c.status || !f.MayHaveActed() || !strings.Contains(f.Message, c.says) {
			t.Errorf("%s: fault = %+v, want %s, status %d, maybe acted, %q", c.script, f, c.class, c.status, c.says)
		}
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]executor.Command{
		"no such program": {Argv: argv("no-such-program-at-all")},
		"no such path":    {Argv: argv("/no/such/program")},
		"not executable":  {Argv: argv(plain)},
		"no such dir":     {Argv: argv("cat"), Dir: "/no/such/dir"},
	} {
		f := executortest.Fault(t.Context(), t, command.New(spec), executortest.Request(`{}`))
		if f.Class != steps.ToolError || f.Acted != steps.ActedNo || !strings.Contains(f.Message, "could not be started") {
			t.Errorf("%s: fault = %+v, want a tool_error that did not act", name, f)
		}
	}
	for name, spec := range map[string]executor.Command{"empty": {}, "no name": {Argv: argv("")}, "NUL": {Argv: argv("echo", "a\x00b")}} {
		if f := executortest.Fault(t.Context(), t, command.New(spec), executortest.Request(`{}`)); f.Class != steps.InvalidInput || f.Acted != steps.ActedNo {
			t.Errorf("%s: fault = %+v, want invalid_input that did not act", name, f)
		}
	}
}

func TestArgumentsAreNeverAShells(t *testing.T) {
	t.Parallel()
	param := func(params any) (string, error) { return params.(map[string]any)["name"].(string), nil }
	spec := executor.Command{Argv: []executor.Text{text("printf"), text("%s"), param}, Stdout: executor.FormatText}
	name := "$(exit 3); `id` && * ~ \"'\n-n"
	params, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	out := executortest.Output(t.Context(), t, command.New(spec), executortest.Request(string(params)))
	var got struct{ Text string }
	if err := json.Unmarshal(out, &got); err != nil || got.Text != name {
		t.Errorf("the argument came as %q, want %q", got.Text, name)
	}
}

func TestEnvironmentIsAnAllowList(t *testing.T) {
	t.Setenv("BELAY_TEST_LET_THROUGH", "yes")
	t.Setenv("BELAY_TEST_OTHER_SECRET", "canary")
	spec := shell("env | grep -v -e ^PATH= -e ^HOME= -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | sort")
	spec.Stdout = executor.FormatText
	spec.Env = []executor.EnvVar{
		{Name: "BELAY_TEST_LET_THROUGH", FromEnv: true}, {Name: "NOT_SET_ANYWHERE", FromEnv: true},
		{Name: "FIXED", Value: "1"}, {Name: "BELAY_RUN_ID", Value: "a lie"},
	}
	req := executortest.Request(`{}`)
	req.Grant = "v1.e30"
	got := executortest.Output(t.Context(), t, command.New(spec), req)
	want := `{"text":"BELAY_ATTEMPT=0-0-1\nBELAY_GRANT=v1.e30\nBELAY_IDEMPOTENCY_KEY=run-1/step-1/0\nBELAY_RUN_ID=run-1\nBELAY_STEP_ID=step-1\nBELAY_TEST_LET_THROUGH=yes\nFIXED=1\n"}`
	if string(got) != want {
		t.Errorf("the command saw %s, want %s", got, want)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	spec := executor.Command{Argv: argv("pwd"), Dir: dir, Stdout: executor.FormatText}
	got := executortest.Output(t.Context(), t, command.New(spec), executortest.Request(`{}`))
	if want := `{"text":"` + dir + `\n"}`; string(got) != want {
		t.Errorf("output = %s, want %s", got, want)
	}
}

func TestFaultKeepsTailOfStderr(t *testing.T) {
	t.Parallel()
	f := executortest.Fault(t.Context(), t, command.New(shell("head -c 100000 /dev/zero | tr '\\0' x >&2; printf 'the \\377 end' >&2; exit 1")), executortest.Request(`{}`))
	if len(f.Detail) > 4<<10+16 || !strings.HasSuffix(f.Detail, "the \uFFFD end") || !strings.HasPrefix(f.Detail, "…x") {
		t.Errorf("detail = %d bytes, %.20q ... %q, want the last 4 KiB as valid UTF-8", len(f.Detail), f.Detail, f.Detail[max(0, len(f.Detail)-20):])
	}
	f = executortest.Fault(t.Context(), t, command.New(shell("echo '<html>'; echo because >&2")), executortest.Request(`{}`))
	if f.Class != steps.InvalidOutput || !strings.Contains(f.Detail, "<html>") || !strings.Contains(f.Detail, "because") {
		t.Errorf("fault = %+v, want invalid_output with what was printed on both", f)
	}
}

func TestSecretsAreNotInFaults(t *testing.T) {
	const secret = "canary/secret+1"
	t.Setenv("BELAY_TEST_KEY", secret)
	spec := shell(`echo "key $BELAY_TEST_KEY" >&2; printf %s "$BELAY_TEST_KEY" | base64 >&2; echo "no json $BELAY_TEST_KEY"`)
	spec.Env = []executor.EnvVar{{Name: "BELAY_TEST_KEY", FromEnv: true}}
	f := executortest.Fault(t.Context(), t, command.New(spec), executortest.Request(`{}`))
	if all := f.Message + f.Detail; strings.Contains(all, "canary") || strings.Contains(all, "Y2FuYXJ5") {
		t.Errorf("the fault tells the secret: %+v", f)
	}
	if !strings.Contains(f.Detail, "[value of BELAY_TEST_KEY]") {
		t.Errorf("detail = %q, want a word on what was hidden", f.Detail)
	}
}

func TestSecretsAreNotInOutputs(t *testing.T) {
	const secret = "canary/secret+1"
	t.Setenv("BELAY_TEST_KEY", secret)
	t.Setenv("LC_TEST", "en_GB.utf8")
	for _, format := range []string{executor.FormatJSON, executor.FormatText} {
		spec := shell(`cat; echo "said $BELAY_TEST_KEY $LC_TEST" >&2`)
		spec.Stdout, spec.MaxBytes = format, 0
		spec.Env = []executor.EnvVar{{Name: "BELAY_TEST_KEY", FromEnv: true}, {Name: "LC_TEST", FromEnv: true}}
		echo := string(executortest.Echo(secret))
		out := executortest.Output(t.Context(), t, command.New(spec), executortest.Request(echo))
		if found := executortest.Traces(out, secret); found != nil {
			t.Errorf("%s: the output has the secret: %v", format, found)
		}
		if !strings.Contains(string(out), "[value of BELAY_TEST_KEY]") {
			t.Errorf("%s: output = %s, want a word on what was hidden", format, out)
		}
	}
	spec := shell(`printf '"%s"' "$LC_TEST"`)
	spec.Env = []executor.EnvVar{{Name: "LC_TEST", FromEnv: true}}
	if out := executortest.Output(t.Context(), t, command.New(spec), executortest.Request(`{}`)); string(out) != `"en_GB.utf8"` {
		t.Errorf("output = %s: a locale is no secret", out)
	}
}

func TestLargeParametersThatNobodyReads(t *testing.T) {
	t.Parallel()
	params := `{"x":"` + strings.Repeat("x", steps.MaxParams-16) + `"}`
	if got := executortest.Output(t.Context(), t, command.New(shell("exec 0<&-; echo 1")), executortest.Request(params)); string(got) != "1" {
		t.Errorf("output = %s, want 1", got)
	}
}

func TestEndlessOutputEndsTheCommand(t *testing.T) {
	t.Parallel()
	path := fifo(t, "life")
	gone := listen(t, path, make(chan struct{}))
	f := executortest.Fault(t.Context(), t, command.New(shell("exec 3>"+path+"; echo up >&3; yes & wait")), executortest.Request(`{}`))
	if f.Class != steps.InvalidOutput {
		t.Errorf("class = %s, want invalid_output", f.Class)
	}
	<-gone
}

func TestGroupEndsWithItsCommand(t *testing.T) {
	t.Parallel()
	path := fifo(t, "life")
	gone := listen(t, path, make(chan struct{}))
	if got := executortest.Output(t.Context(), t, command.New(shell("exec 3>"+path+"; echo up >&3; sleep 300 & echo 1")), executortest.Request(`{}`)); string(got) != "1" {
		t.Errorf("output = %s, want 1", got)
	}
	<-gone
}

func TestProcessThatLeftTheGroupHoldsNothingUp(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent()) // not in parallel: it would see goroutines of other tests
	ready, life := fifo(t, "ready"), fifo(t, "life")
	hold, err := os.OpenFile(life, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close() // lets it go
	script := "setsid sh -c 'echo up > " + ready + "; cat " + life + " > /dev/null' & read up < " + ready + "; echo 1"
	if got := executortest.Output(t.Context(), t, command.New(shell(script)), executortest.Request(`{}`)); string(got) != "1" {
		t.Errorf("output = %s, want 1", got)
	}
}
