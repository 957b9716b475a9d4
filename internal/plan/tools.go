package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"belay/internal/executor"
	"belay/internal/steps"
)

// Tools is a checked tools file.
type Tools struct {
	File     string // as it was named
	Tools    map[string]*ToolDef
	Services []Service
}

// ToolDef is a tool with what a worker needs to execute it. The embedded policy, its own Rungs included, is what is
// pinned into runs; the Rungs here say in addition how each one is executed.
type ToolDef struct {
	steps.Tool
	Rungs                   []RungDef
	Probe                   *RungDef                          // of verify; nil without one
	Held                    func(params json.RawMessage) bool // whether a call needs approval; nil without an approval rule
	CheckInput, CheckOutput func(json.RawMessage) error       // nil without a schema
	Warnings                Problems                          // what is no mistake, and may still not be meant

	at places
}

// RungDef is a rung with its executor.
type RungDef struct {
	steps.Rung
	Spec executor.Spec
	// Reshape makes the step's output of what the executor gave; nil where they are the same. What a person answers is
	// reshaped where the answer is taken.
	Reshape func(params, output json.RawMessage) (json.RawMessage, error)

	output json.RawMessage // the template
	at     places
}

// Service is a program that development commands start, wait for and stop.
type Service struct {
	Argv  []string
	Ready string // URL that answers with 2xx once the service is up; empty means at once
	Dir   string // absolute
	Env   []executor.EnvVar
	// Shared lets whatever has the port of Ready be used in place of the service, whoever has started it.
	Shared bool
}

// FindTools is the tools file that belongs to a plan when none is named: tools.yaml beside it.
func FindTools(planPath string) string { return filepath.Join(filepath.Dir(planPath), "tools.yaml") }

// LoadTools reads and checks a tools file. See [ParseTools].
func LoadTools(path string) (*Tools, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no tools file %s: name one, or put tools.yaml beside the plan: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read tools file: %w", err)
	}
	return ParseTools(path, data)
}

// ParseTools checks a tools file and compiles its templates. The error is [Problems]: all mistakes, not the first one.
// Folders in it are taken relative to the file's own.
func ParseTools(file string, data []byte) (*Tools, error) {
	base, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", file, err)
	}
	f := &toolsFile{reader: &reader{}, base: base, tools: &Tools{File: file, Tools: map[string]*ToolDef{}}}
	root, ok := f.parse(file, data, "tools file")
	if !ok {
		return nil, f.problems.err()
	}
	found := f.object(root, "the tools file", f.fields())
	f.require(root, "the tools file", found, "tools")
	if err := f.problems.err(); err != nil {
		return nil, err
	}
	return f.tools, nil
}
