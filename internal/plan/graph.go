package plan

import "slices"

// bits is a set of steps, by their place in the plan.
type bits []uint64

func newBits(size int) bits { return make(bits, (size+63)/64) }

func (b bits) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bits) union(c bits) {
	for i := range c {
		b[i] |= c[i]
	}
}

// graph holds what every step needs, by places in the plan.
type graph [][]int

// order lists the steps so that each comes after all that it needs; with a cycle it is shorter than the graph.
func (g graph) order() []int {
	waiting := make([]int, len(g))
	dependents := make([][]int, len(g))
	var ready []int
	for i, needs := range g {
		waiting[i] = len(needs)
		for _, n := range needs {
			dependents[n] = append(dependents[n], i)
		}
		if len(needs) == 0 {
			ready = append(ready, i)
		}
	}
	for at := 0; at < len(ready); at++ {
		for _, d := range dependents[ready[at]] {
			if waiting[d]--; waiting[d] == 0 {
				ready = append(ready, d)
			}
		}
	}
	return ready
}

// closure gives for every step all steps that it needs, directly or not. The graph must have no cycle.
func (g graph) closure() []bits {
	all := make([]bits, len(g))
	for _, i := range g.order() {
		all[i] = newBits(len(g))
		for _, n := range g[i] {
			all[i].add(n)
			all[i].union(all[n])
		}
	}
	return all
}

// cycles finds circles of needs, each as the steps along it in the direction of needing. Every step is in one at most.
func (g graph) cycles() [][]int {
	ordered := newBits(len(g))
	for _, i := range g.order() {
		ordered.add(i)
	}
	var found [][]int
	for i := range g {
		if ordered.has(i) {
			continue
		}
		path := g.walk(i, ordered)
		for _, p := range path {
			ordered.add(p)
		}
		if start := slices.Index(path, g.next(path)); start >= 0 {
			found = append(found, path[start:])
		}
	}
	return found
}

// walk follows needs from a step that cannot be ordered until it meets a step again, or one that is accounted for.
func (g graph) walk(from int, settled bits) []int {
	seen := newBits(len(g))
	path := []int{}
	for at := from; at >= 0 && !seen.has(at); {
		seen.add(at)
		path = append(path, at)
		at = g.unsettled(at, settled)
	}
	return path
}

func (g graph) unsettled(i int, settled bits) int {
	for _, n := range g[i] {
		if !settled.has(n) {
			return n
		}
	}
	return -1
}

// next is the step of path that its last step needs, -1 when there is none.
func (g graph) next(path []int) int {
	for _, n := range g[path[len(path)-1]] {
		if slices.Contains(path, n) {
			return n
		}
	}
	return -1
}
