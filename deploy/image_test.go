package deploy_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// step is one line of a Dockerfile, with those that continue it.
type step struct{ word, rest string }

func dockerfile(t *testing.T) (steps []step) {
	t.Helper()
	f, err := os.Open("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	whole := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			whole += before
			continue
		}
		word, rest, _ := strings.Cut(whole+line, " ")
		steps, whole = append(steps, step{word, rest}), ""
	}
	return steps
}

// TestImage follows the Dockerfile without Docker: what its last stage has is put into a folder, and both programs start with that
// as the root of their file system, as the first process of a namespace and as its user, with nothing else there.
func TestImage(t *testing.T) {
	t.Parallel()
	if os.Getenv("BELAY_IMAGE") == "" {
		t.Skip("it compiles everything once more, for minutes: BELAY_IMAGE=1 go test ./deploy -run Image")
	}
	if os.Getuid() != 0 {
		t.Skip("only root may change the root of the file system")
	}
	chroot, err := exec.LookPath("chroot") // the image's PATH does not know it
	if err != nil {
		t.Fatal(err)
	}
	out, root, env, user := t.TempDir(), t.TempDir(), []string{}, ""
	for _, s := range dockerfile(t) {
		switch s.word {
		case "RUN":
			sh(t, strings.ReplaceAll(strings.ReplaceAll(s.rest, "/out", out), "${VERSION}", "1.2.3"))
		case "COPY":
			if from, ok := strings.CutPrefix(s.rest, "--from=build "); ok {
				what, to, _ := strings.Cut(from, " ")
				sh(t, "mkdir -p "+filepath.Dir(root+to)+" && cp -a "+strings.Replace(what, "/out/", out+"/.", 1)+" "+root+to)
			}
		case "ENV":
			env = append(env, strings.Fields(s.rest)...)
		case "USER":
			user = s.rest
		case "FROM", "WORKDIR", "VOLUME", "ARG", "ENTRYPOINT", "CMD", "STOPSIGNAL":
		default:
			t.Fatalf("the Dockerfile has a line that is not followed here: %s %s", s.word, s.rest)
		}
	}
	if user == "" || strings.HasPrefix(user, "0") {
		t.Errorf("the image runs as user %q", user)
	}
	write(t, root+"/etc/belay/tools.yaml", "tools:\n  hello: {effects: none, rungs: [{static: {output: hello}}]}\n")
	write(t, root+"/etc/belay/plan.yaml", "name: p\nsteps: [{id: s, tool: hello}]\n")
	inside := func(args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		in := append([]string{"--pid", "--mount", "--net", "--fork", "--kill-child", "env", "-i"}, env...)
		in = append(in, chroot, "--userspec="+user, root)
		c := exec.CommandContext(ctx, "unshare", append(in, args...)...)
		text, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", args, err, text)
		}
		return string(text)
	}
	for _, program := range []string{"dispatcher", "worker"} {
		if got := inside("/usr/local/bin/"+program, "version"); got != "belay 1.2.3\n" {
			t.Errorf("%s version printed %q", program, got)
		}
	}
	if got := inside("/usr/local/bin/dispatcher", "run", "/etc/belay/plan.yaml", "--id", "r1"); !strings.Contains(got, "succeeded") {
		t.Errorf("run printed %s", got)
	}
	if got := inside("/usr/local/bin/dispatcher", "runs", "ls"); !strings.Contains(got, "r1") {
		t.Errorf("nothing was kept: %s", got)
	}
}

func sh(t *testing.T, line string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-ec", line)
	c.Dir = ".."
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
