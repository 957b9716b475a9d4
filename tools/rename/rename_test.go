package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

func TestWhatIsRenamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"go.mod":       "module barn // until it is published\n\ngo 1.26.0\n\nrequire example.com/barn v1.0.0\n",
		"peer/go.mod":  "module peer\n\nrequire (\n\tbarn v0.0.0\n\tbarned v0.0.0\n)\n\nreplace barn => ../\n",
		"tools/go.mod": "module barn/tools\n",
		"go.work":      "go 1.26.0\n\nuse .\n\nreplace barn => ./\n",
		"go.sum":       "barn/internal/a v0.0.0\n",
		"a.go": `// Package barn stands on [barn/internal/a].
//
//	import "barn"
package barn

import (
	"example.com/zoo"

	"barn/internal/a" // barn/internal/a.
	door "barn"
)

var product, prefix, origin, path = "barn", "barn.runs", "barn/audit/", "/etc/barn/internal/a"
var symbol, pattern = "barn/internal/a.Version", []string{"barn/...", "barn/internal/..."}

func cookie() string {
	return "barn"
}
`,
		"internal/a/a.go": "package a\n",
		"README.md": "Belay: `go get barn`, or `replace barn => ../barn`, or go install barn/internal/a@latest.\n\n```go\nimport (\n\t\"barn\"\n)\n```\n" +
			"-ldflags '-X barn/internal/a.version=1', ~/.config/barn/internal, barn/unknown, the product barn.\n",
	})
	var out strings.Builder
	if err := run([]string{"-force", "-dir", dir, "example.org/you/barn"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"go.mod":       "module example.org/you/barn // until it is published\n\ngo 1.26.0\n\nrequire example.com/barn v1.0.0\n",
		"peer/go.mod":  "module peer\n\nrequire (\n\texample.org/you/barn v0.0.0\n\tbarned v0.0.0\n)\n\nreplace example.org/you/barn => ../\n",
		"tools/go.mod": "module example.org/you/barn/tools\n",
		"go.work":      "go 1.26.0\n\nuse .\n\nreplace example.org/you/barn => ./\n",
		"go.sum":       "barn/internal/a v0.0.0\n",
		"a.go": `// Package barn stands on [example.org/you/barn/internal/a].
//
//	import "example.org/you/barn"
package barn

import (
	"example.com/zoo"

	door "example.org/you/barn"
	"example.org/you/barn/internal/a" // example.org/you/barn/internal/a.
)

var product, prefix, origin, path = "barn", "barn.runs", "barn/audit/", "/etc/barn/internal/a"
var symbol, pattern = "example.org/you/barn/internal/a.Version", []string{"example.org/you/barn/...", "example.org/you/barn/internal/..."}

func cookie() string {
	return "barn"
}
`,
		"README.md": "Belay: `go get example.org/you/barn`, or `replace example.org/you/barn => ../barn`, or go install example.org/you/barn/internal/a@latest.\n\n```go\nimport (\n\t\"example.org/you/barn\"\n)\n```\n" +
			"-ldflags '-X example.org/you/barn/internal/a.version=1', ~/.config/barn/internal, barn/unknown, the product barn.\n",
	} {
		if got := read(t, dir, name); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	for _, want := range []string{"module barn is now example.org/you/barn", "4 module files", "2 imports in 1 Go files", "README.md:1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"go.mod": "module barn\n", "a.go": "package barn\n"})
	refused := func(want string, args ...string) {
		t.Helper()
		err := run(append([]string{"-dir", dir}, args...), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	refused("name one module path")
	refused("name one module path", "a.com/b", "a.com/c")
	refused("missing dot in first path element", "you/belay")
	refused("looks like github.com/you/belay", "https://github.com/you/belay")
	refused("ends in a major version", "github.com/you/belay/v2")
	refused("is not a git repository", "github.com/you/belay")
	command(t, dir, "git", "init", "-q")
	refused("uncommitted changes", "github.com/you/belay")
	commit(t, dir)
	if err := run([]string{"-dir", dir, "github.com/you/belay"}, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
	refused("uncommitted changes", "example.com/other")
	if err := run([]string{"-dir", dir, "github.com/you/belay"}, io.Discard, io.Discard); err != nil {
		t.Errorf("the same path once more: %v", err)
	}
	if got := read(t, dir, "go.mod"); got != "module github.com/you/belay\n" {
		t.Error(got)
	}
}

// TestRenamedRepository renames a copy of this repository, twice, and uses both from a module outside.
func TestRenamedRepository(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a copy of the repository")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	path, err := modulePath(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("replaced", func(t *testing.T) { useFromOutside(t, root, path) })

	renamed := copyOf(t, root)
	for _, to := range []string{"example.com/" + "elsewhere", "github.com/someone/belay"} {
		command(t, filepath.Join(renamed, "tools"), "go", "run", "./rename", to)
		commit(t, renamed)
	}
	for _, name := range strings.Fields(command(t, renamed, "git", "grep", "-lP", "example.com/[e]lsewhere|(?<![/.])\\bbelay/(cmd|config|examples|internal|tools)\\b")) {
		t.Errorf("%s still has an old path", name)
	}
	command(t, renamed, "go", "list", "-deps", "-test", "./...") // everything that is imported is there
	command(t, renamed, "go", "test", "-short", "-vet=off", "./internal/importtest", "./internal/wire")
	command(t, filepath.Join(renamed, "bench", "belaypeer"), "go", "vet", ".")
	t.Run("renamed", func(t *testing.T) { useFromOutside(t, renamed, "github.com/someone/belay") })
}

// useFromOutside builds and runs a program in a module of its own that imports the module in dir.
func useFromOutside(t *testing.T, dir, path string) {
	t.Helper()
	outside := t.TempDir()
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", text, nil) // with the same versions, so that nothing is downloaded
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{mod.AddModuleStmt("outside"), mod.AddRequire(path, "v0.0.0"), mod.AddReplace(path, "", dir, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if text, err = mod.Format(); err != nil {
		t.Fatal(err)
	}
	write(t, outside, map[string]string{"go.mod": string(text), "go.sum": read(t, dir, "go.sum"), "main.go": read(t, dir, "examples/embedded/main.go")})
	if got := command(t, outside, "go", "run", "-mod=mod", "."); got != "succeeded 4200\n" {
		t.Errorf("printed %q", got)
	}
}

// copyOf is a git repository with the files of dir.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	names, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		from := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, to, map[string]string{name: read(t, dir, name)})
		if err := os.Chmod(filepath.Join(to, filepath.FromSlash(name)), info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	command(t, to, "git", "init", "-q")
	commit(t, to)
	return to
}

func commit(t *testing.T, dir string) {
	t.Helper()
	command(t, dir, "git", "add", "-A")
	command(t, dir, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "all")
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var errs strings.Builder
	cmd.Dir, cmd.Stderr = dir, &errs
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil && (name != "git" || args[0] != "grep") { // git grep fails where it finds nothing
		t.Fatalf("%s %s in %s: %v\n%s%s", name, strings.Join(args, " "), dir, err, out, errs.String())
	}
	return string(out)
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
