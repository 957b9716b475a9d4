package catalog

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// paths are the values of a document in the order of its text.
type paths []placed

// placed is where a value, or the key before it, begins.
type placed struct {
	Place
	path string
}

func pathsOf(data []byte) (p paths) {
	var root yaml.Node
	if yaml.Unmarshal(data, &root) == nil && len(root.Content) > 0 {
		p.add(root.Content[0], "")
	}
	return p
}

func (p *paths) add(n *yaml.Node, path string) {
	*p = append(*p, placed{Place{n.Line, n.Column}, path})
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			p.add(child, path+"/"+strconv.Itoa(i))
		case n.Kind == yaml.MappingNode && i%2 == 0:
			*p = append(*p, placed{Place{child.Line, child.Column}, path + "/" + pointed(child.Value)})
		case n.Kind == yaml.MappingNode:
			p.add(child, path+"/"+pointed(n.Content[i-1].Value))
		}
	}
}

// at is the path of the value that a place is in.
func (p paths) at(line, col int) string {
	i, exact := slices.BinarySearchFunc(p, Place{line, col}, func(a placed, b Place) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	switch {
	case exact:
		return p[i].path
	case i == 0:
		return ""
	}
	return p[i-1].path
}

// pointed is a key as RFC 6901 writes it.
func pointed(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
