package mcptools

import (
	"fmt"
	"strings"

	"belay/internal/catalog"
)

// longestName is the longest name that agents' clients and models take.
const longestName = 64

// nameOf is what a tool or a plan is called over MCP, where names have letters, digits, _ and - alone.
func nameOf(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
}

// named gives every offer its name over MCP. Two of the same name are an error: an agent could not say which it means.
func named(offers []catalog.Offer) (map[string]catalog.Offer, error) {
	by := make(map[string]catalog.Offer, len(offers))
	for _, o := range offers {
		name := nameOf(o.Name)
		if own[name] {
			return nil, fmt.Errorf("the %s %q would be %q over MCP, which is a tool of Belay itself: give it another name", o.Kind, o.Name, name)
		}
		if len(name) > longestName {
			return nil, fmt.Errorf("the name of the %s %q has %d characters; over MCP at most %d are allowed", o.Kind, o.Name, len(name), longestName)
		}
		if first, there := by[name]; there {
			return nil, fmt.Errorf("the %s %q and the %s %q would both be %q over MCP: give one of them another name", first.Kind, first.Name, o.Kind, o.Name, name)
		}
		by[name] = o
	}
	return by, nil
}
