package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// clean says what git does not have yet, as an error.
func clean(dir string) error {
	out, err := git(dir, "status", "--porcelain")
	if err != nil {
		return fmt.Errorf("%s is not a git repository, so that there is no way back: commit it first, or say -force (%w)", dir, err)
	}
	if changes := strings.TrimRight(out, "\n"); changes != "" {
		return fmt.Errorf("there are uncommitted changes, and git is the way back: commit them first, or say -force\n%s", changes)
	}
	return nil
}

func git(dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(context.Background(), "git", append([]string{"-C", dir}, args...)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

// list returns the files of the repository, with slashes: those that git has or would add, or, without git, all but
// folders that are never committed.
func list(dir string) ([]string, error) {
	if out, err := git(dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"); err == nil {
		deleted, err := git(dir, "ls-files", "-z", "--deleted")
		if err != nil {
			return nil, err
		}
		gone := strings.Split(deleted, "\x00")
		files := strings.FieldsFunc(out, func(r rune) bool { return r == 0 })
		return slices.DeleteFunc(files, func(name string) bool { return slices.Contains(gone, name) }), nil
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "bin"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, filepath.ToSlash(name))
		return err
	})
	return files, err
}
