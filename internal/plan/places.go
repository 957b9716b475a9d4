package plan

import (
	"go.yaml.in/yaml/v4"

	"belay/internal/yamldoc"
)

// Place is where something stands in a document.
type Place struct {
	File      string // as it was named
	Line, Col int    // from 1
}

func (p *planFile) placeOf(n *yaml.Node) Place { return Place{p.FileName(), n.Line, n.Column} }

// placesOf are the places of the plan's keys and of those of its steps, by step and key. The key "" is a step itself, and a
// key of its agent is `agent.<key>`.
func (p *planFile) placesOf() map[[2]string]Place {
	places := map[[2]string]Place{{"", ""}: p.placeOf(p.root)}
	p.addPlaces(places, "", "", p.root)
	for _, s := range p.steps {
		places[[2]string{s.ID, ""}] = p.placeOf(s.node)
		p.addPlaces(places, s.ID, "", s.node)
		if s.agent.node != nil {
			p.addPlaces(places, s.ID, "agent.", s.agent.node)
		}
	}
	return places
}

func (p *planFile) addPlaces(places map[[2]string]Place, step, prefix string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		places[[2]string{step, prefix + yamldoc.Resolve(n.Content[i]).Value}] = p.placeOf(n.Content[i+1])
	}
}

// Place is where a key of a step stands, or of the plan where step is empty; the step itself where it has no such key.
func (d *Document) Place(step, key string) Place {
	if at, ok := d.places[[2]string{step, key}]; ok {
		return at
	}
	return d.places[[2]string{step, ""}]
}

// Place is where a key of the tool stands; the tool itself where it has none.
func (t *ToolDef) Place(key string) Place { return t.at.place(key) }

// Place is where a key of the rung stands; the rung itself where it has none.
func (r *RungDef) Place(key string) Place { return r.at.place(key) }

// Says reports whether the tool has a key, and does not go by its default.
func (t *ToolDef) Says(key string) bool {
	return t.at.node != nil && yamldoc.ValueOf(t.at.node, key) != nil
}

// Says reports whether the rung has a key, and does not go by its default.
func (r *RungDef) Says(key string) bool {
	return r.at.node != nil && yamldoc.ValueOf(r.at.node, key) != nil
}

func (p *places) place(key string) Place {
	if p.node == nil {
		return Place{File: p.file, Line: 1, Col: 1}
	}
	n := p.node
	if v := yamldoc.ValueOf(n, key); v != nil {
		n = v
	}
	return Place{p.file, n.Line, n.Column}
}
