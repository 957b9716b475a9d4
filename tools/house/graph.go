package main

import "strings"

// graph counts the imports of one own package by another, and finds the longest chain of them.
func (h *House) graph(module string, pkgs []pkg) {
	all, internal := map[string][]string{}, map[string][]string{}
	short := func(path string) (string, bool) {
		if path == module {
			return ".", true
		}
		return strings.CutPrefix(path, module+"/")
	}
	for _, p := range pkgs {
		from, _ := short(p.ImportPath)
		all[from] = nil
		if isInternal(from) {
			h.InternalPackages++
		}
		for _, imp := range p.Imports {
			to, own := short(imp)
			if !own {
				continue
			}
			h.Edges++
			all[from] = append(all[from], to)
			if isInternal(from) && isInternal(to) {
				internal[from] = append(internal[from], to)
			}
		}
	}
	h.Depth = len(longest(all)) - 1
	chain := longest(internal)
	h.InternalDepth, h.Chain = max(0, len(chain)-1), strings.Join(chain, " > ")
}

func isInternal(name string) bool { return strings.HasPrefix(name, "internal/") }

func longest(imports map[string][]string) []string {
	known := map[string][]string{}
	var from func(string) []string
	from = func(p string) []string {
		if c, ok := known[p]; ok {
			return c
		}
		best := []string{}
		for _, to := range imports[p] {
			if c := from(to); len(c) > len(best) {
				best = c
			}
		}
		known[p] = append([]string{p}, best...)
		return known[p]
	}
	best := []string{}
	for p := range imports {
		if c := from(p); len(c) > len(best) || len(c) == len(best) && strings.Join(c, " ") < strings.Join(best, " ") {
			best = c
		}
	}
	return best
}
