package yamldoc

import (
	"go.yaml.in/yaml/v4"
)

// Resolve follows aliases; [reader.bounded] has made sure that they end.
func Resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// ResolveAll is [Resolve] of each node.
func ResolveAll(nodes []*yaml.Node) []*yaml.Node {
	list := make([]*yaml.Node, len(nodes))
	for i, n := range nodes {
		list[i] = Resolve(n)
	}
	return list
}

// KindOf is what a node is, in words that follow "not": "a list", "empty".
func KindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	}
	return "a string"
}

// IsString reports whether a scalar is a string. A date is one: JSON has no dates.
func IsString(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp")
}

// ValueOf is the value of a key of a mapping, nil without it.
func ValueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if Resolve(n.Content[i]).Value == key {
			return Resolve(n.Content[i+1])
		}
	}
	return nil
}

// Kept remembers where a value stands, for checks that come when everything is read.
func Kept(node **yaml.Node, read Field) Field {
	return func(n *yaml.Node) {
		*node = n
		read(n)
	}
}
