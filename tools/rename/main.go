// Command rename gives the repository another module path, in one go:
//
//	go -C tools run ./rename github.com/you/belay
//
// It changes the go.mod and go.work files, every import in every Go file of every module here, and the places in texts
// where the import path stands: a package's path in a comment, a document, a script or the linter's settings, and the
// lines that import, require, replace or install the module. The word belay as the product, a prefix of subjects or a
// file's name stays.
//
// Renaming to the path that the module has already changes nothing. A working tree with uncommitted changes is refused,
// because git is the way back; -force renames it nevertheless.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
}

func run(args []string, out, errs io.Writer) error {
	fl := flag.NewFlagSet("rename", flag.ContinueOnError)
	fl.SetOutput(errs)
	dir := fl.String("dir", "..", "the repository's root")
	force := fl.Bool("force", false, "rename although there are uncommitted changes, or no git repository")
	fl.Usage = func() {
		fmt.Fprintln(errs, "usage: go -C tools run ./rename [-force] [-dir DIR] MODULE")
		fl.PrintDefaults()
	}
	if err := fl.Parse(args); err != nil {
		return err
	}
	if fl.NArg() != 1 {
		fl.Usage()
		return fmt.Errorf("name one module path, for example github.com/you/belay")
	}
	to := fl.Arg(0)
	if err := checkPath(to); err != nil {
		return err
	}
	from, err := modulePath(*dir)
	if err != nil {
		return err
	}
	if from == to {
		fmt.Fprintf(out, "the module path is %s already: nothing to do\n", to)
		return nil
	}
	if !*force {
		if err := clean(*dir); err != nil {
			return err
		}
	}
	return rename(*dir, from, to, out)
}

func checkPath(path string) error {
	if err := module.CheckPath(path); err != nil {
		return fmt.Errorf("%w; a module path looks like github.com/you/belay", err)
	}
	if _, major, ok := module.SplitPathVersion(path); !ok || major != "" {
		return fmt.Errorf("%s ends in a major version: leave it out, the modules here require one another as v0", path)
	}
	return nil
}

func modulePath(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("no module in %s: %w; run it as go -C tools run ./rename, or say -dir", dir, err)
	}
	path := modfile.ModulePath(text)
	if path == "" {
		return "", fmt.Errorf("%s has no module line", filepath.Join(dir, "go.mod"))
	}
	return path, nil
}

func rename(dir, from, to string, out io.Writer) error {
	files, err := list(dir)
	if err != nil {
		return err
	}
	r := newRenamer(from, to, files)
	for _, name := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		renamed, err := r.file(name, text)
		if err != nil {
			return fmt.Errorf("%s: %w; nothing after it was changed, git restore . undoes the rest", name, err)
		}
		if renamed == nil {
			continue
		}
		if err := rewrite(path, renamed); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "module %s is now %s\n", from, to)
	fmt.Fprintf(out, "%d module files: %s\n", len(r.modules), strings.Join(r.modules, ", "))
	fmt.Fprintf(out, "%d imports in %d Go files\n", r.imports, r.goFiles)
	fmt.Fprintf(out, "%d other places:\n", len(r.mentions))
	for _, at := range r.mentions {
		fmt.Fprintln(out, "  "+at)
	}
	fmt.Fprintln(out, "check it with: go build ./... && go test ./...")
	return nil
}

// rewrite keeps the file's mode: scripts stay executable.
func rewrite(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, info.Mode().Perm())
}
