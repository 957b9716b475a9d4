package plan

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// readUndo reads what undoes a call of the tool where its run ends otherwise than planned.
func (f *toolsFile) readUndo(t *ToolDef, n *yaml.Node) {
	t.Undo = &steps.Compensate{}
	found := f.Object(n, "undo", f.undoFields(t))
	f.Require(n, "undo", found, "tool")
}

// undoFields are the keys of a tool's undo.
func (f *toolsFile) undoFields(t *ToolDef) yamldoc.Fields {
	return yamldoc.Fields{
		"tool": f.toolName(&t.Undo.Tool, &t.at.undoTool),
		"with": f.params(&t.Undo.With, &t.at.undoWith),
	}
}

// checkUndos is what can only be checked once all tools are read.
func (f *toolsFile) checkUndos() {
	for _, name := range slices.Sorted(maps.Keys(f.tools.Tools)) {
		t := f.tools.Tools[name]
		if t.at.undoWith != nil {
			f.checkTemplate(t.at.undoWith, inProbe)
		}
		if t.at.undoTool != nil {
			f.checkUndo(t)
		}
	}
}

func (f *toolsFile) checkUndo(t *ToolDef) {
	by, ok := f.tools.Tools[t.Undo.Tool]
	switch {
	case !ok:
		f.At(t.at.undoTool, yamldoc.OneOf(t.Undo.Tool, slices.Collect(maps.Keys(f.tools.Tools))), "unknown tool %q: what undoes a tool is another one of this file", t.Undo.Tool)
	case by == t:
		f.At(t.at.undoTool, "name the tool that takes back what this one does", "the tool %s cannot undo itself", t.Name)
	case by.Undo != nil:
		f.At(t.at.undoTool, "a tool without an undo", "%s undoes %s, and has an undo itself: what undoes is not undone", by.Name, t.Name)
	default:
		f.checkConstant(t.at.undoWith, t.Undo.With, by)
	}
}

// Pin adds a tool as it is pinned into a run, and the one that undoes its calls.
func (t *Tools) Pin(into map[string]steps.Tool, name string) {
	into[name] = pinned(name, t)
	if undo := into[name].Undo; undo != nil {
		into[undo.Tool] = pinned(undo.Tool, t)
	}
}

// checkPinnedUndos makes sure that what undoes the tools of a run is pinned too, and ends there.
func checkPinnedUndos(d *steps.Definition) error {
	for name, t := range d.Tools {
		if t.Undo == nil {
			continue
		}
		if err := checkPinned(d, t.Undo.Tool); err != nil {
			return fmt.Errorf("undo of tool %q: %w", name, err)
		}
		if t.Undo.Tool == name || d.Tools[t.Undo.Tool].Undo != nil {
			return fmt.Errorf("undo of tool %q: %q is undone itself", name, t.Undo.Tool)
		}
	}
	return nil
}

// compileUndos compiles what makes the parameters of the calls that undo others.
func compileUndos(p *steps.Program) error {
	p.Undos = map[string]steps.Expr{}
	for name, t := range p.Tools {
		if t.Undo == nil || len(t.Undo.With) == 0 {
			continue
		}
		with, err := compileParams(t.Undo.With, inProbe)
		if err != nil {
			return fmt.Errorf("tool %q: undo: %w", name, err)
		}
		p.Undos[name] = with
	}
	return nil
}
