package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v4"

	"belay/internal/plan"
	"belay/internal/yamldoc"
)

// Catalog is safe for concurrent use.
type Catalog struct {
	Strict bool // every order is strict; set before it is used

	tools, plans string
	now          atomic.Pointer[content]

	mu   sync.Mutex
	hear []func() // called after each Reload that found no mistake
}

// content is what was read at one time.
type content struct {
	tools *plan.Tools
	file  string                    // the tools file, absolute
	plans map[string]*plan.Document // by name
}

// Open reads a tools file and all plans of a directory: its files that end in .yaml, .yml or .json, but for the tools
// file and what begins with a dot. Without a directory no plan has a name. Mistakes are [yamldoc.Problems].
func Open(tools, plans string) (*Catalog, error) {
	c := &Catalog{tools: tools, plans: plans}
	return c, c.Reload()
}

// Reload reads the files again. When it fails, what was read before stays.
func (c *Catalog) Reload() error {
	next, err := read(c.tools, c.plans)
	if err != nil {
		return err
	}
	c.now.Store(next)
	c.mu.Lock()
	hear := slices.Clone(c.hear)
	c.mu.Unlock()
	for _, f := range hear {
		f()
	}
	return nil
}

// Names are those of all plans.
func (c *Catalog) Names() []string { return slices.Sorted(maps.Keys(c.now.Load().plans)) }

// Named is the name of the plan that a run's document was made of; ok is false when no plan of the catalog, as it is now,
// makes this document.
func (c *Catalog) Named(document []byte) (name string, ok bool) {
	for name, doc := range c.now.Load().plans {
		if bytes.Equal(doc.JSON, document) {
			return name, true
		}
	}
	return "", false
}

func read(file, dir string) (*content, error) {
	tools, err := plan.LoadTools(file)
	if err != nil {
		return nil, err
	}
	c := &content{tools: tools, file: file, plans: map[string]*plan.Document{}}
	if abs, err := filepath.Abs(file); err == nil {
		c.file = abs
	}
	if dir == "" {
		return c, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the plans: %w", err)
	}
	var problems yamldoc.Problems
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		if f.IsDir() || !isPlan(f.Name()) || sameFile(path, file) {
			continue
		}
		found, err := c.add(path)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return nil, problems // each file's are in order, and so are the files
	}
	return c, nil
}

func isPlan(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// add reads one plan. Its mistakes are not an error: those of the other plans are wanted too.
func (c *content) add(path string) (yamldoc.Problems, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	doc, err := plan.ParsePlan(path, data, c.tools)
	if problems, ok := errors.AsType[yamldoc.Problems](err); ok {
		return problems, nil
	}
	if err != nil {
		return nil, err
	}
	name := doc.Definition.Plan.Name
	if first := c.plans[name]; first != nil {
		p := yamldoc.Problem{File: path, Message: fmt.Sprintf("the plan %q is in %s too", name, first.File), Hint: "give one of them another name"}
		p.Line, p.Col = placeOfName(data)
		return yamldoc.Problems{p}, nil
	}
	c.plans[name] = doc
	return nil, nil
}

// placeOfName is where a plan says its name.
func placeOfName(data []byte) (line, col int) {
	var root yaml.Node
	if yaml.Unmarshal(data, &root) != nil || len(root.Content) == 0 {
		return 0, 0
	}
	if n := yamldoc.ValueOf(root.Content[0], "name"); n != nil {
		return n.Line, n.Column
	}
	return 0, 0
}
