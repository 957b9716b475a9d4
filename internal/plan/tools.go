package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"belay/internal/executor"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// Tools is a checked tools file.
type Tools struct {
	File     string              // as it was named
	Tools    map[string]*ToolDef // by name
	Services []Service           // in the order of the file, in which they are started
}

// AskApproval reports whether a tool has calls that people approve.
func (t *Tools) AskApproval() bool {
	for _, d := range t.Tools {
		if d.NeedsApproval != nil {
			return true
		}
	}
	return false
}

// AskPasskey is the name of a tool whose approvals need a passkey, the first of them; empty where none does.
func (t *Tools) AskPasskey() string {
	var names []string
	for _, d := range t.Tools {
		if d.Approval != nil && d.Approval.Proof == steps.ProofPasskey {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

// ToolDef is a tool with what a worker needs to execute it. The embedded policy, its own Rungs included, is what is
// pinned into runs; the Rungs here say in addition how each one is executed.
type ToolDef struct {
	steps.Tool
	Rungs []RungDef // from the first to the last fallback
	Probe *RungDef  // of verify; nil without one
	// NeedsApproval says whether a call needs approval, whose parameters are made from what is untrusted or are not; nil
	// without an approval rule.
	NeedsApproval           func(params json.RawMessage, untrusted bool) bool
	CheckInput, CheckOutput func(json.RawMessage) error // nil without a schema
	Warnings                yamldoc.Problems            // what is not a mistake but may not be meant

	at places
}

// RungDef is a rung with its executor.
type RungDef struct {
	steps.Rung
	Spec executor.Spec // what executes it; empty for `human` rungs
	// Reshape makes the step's output of what the executor gave; nil where they are the same. What a person answers is
	// reshaped where the answer is taken.
	Reshape func(params, output json.RawMessage) (json.RawMessage, error)

	Cost float64 // of one call, in whatever currency the file means; for `prove`, `drill` and `rehearse`, and not pinned into runs

	output json.RawMessage // the template
	at     places
}

// Service is a program that development commands start, wait for and stop.
type Service struct {
	Argv  []string          // the program and its arguments; no shell
	Ready string            // URL that answers with 2xx once the service is up; empty means at once
	Dir   string            // absolute
	Env   []executor.EnvVar // added to the dispatcher's own environment
	// Shared lets whatever has the port of Ready be used in place of the service, whoever has started it.
	Shared bool
}

// SayCosts reports whether the file says of any rung what a call of it costs. Where it does, a rung without a cost costs
// nothing; where it does not, nothing is known.
func (t *Tools) SayCosts() bool {
	for _, def := range t.Tools {
		if slices.ContainsFunc(def.Rungs, func(r RungDef) bool { return r.Says("cost") }) {
			return true
		}
	}
	return false
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
	f := &toolsFile{reader: &reader{&yamldoc.Reader{}}, base: base, tools: &Tools{File: file, Tools: map[string]*ToolDef{}}}
	root, ok := f.Parse(file, data, "tools file")
	if !ok {
		return nil, f.Problems.Err()
	}
	found := f.Object(root, "the tools file", f.fields())
	f.Require(root, "the tools file", found, "tools")
	f.settleTrust()
	f.settleTargets()
	if err := f.Problems.Err(); err != nil {
		return nil, err
	}
	return f.tools, nil
}
