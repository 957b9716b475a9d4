// Package drill rehearses how a plan fails: it plays the plan on a virtual clock ([sim]) under every single fault that its
// steps, its tools' rungs, its workers, its dispatcher and its people can meet, and says how each play ended.
//
// A cell is one step's rung under one fault. It may take several plays: a fault that comes once and one that stays, a call
// that had its effect before it failed and one that had not. The worst of them counts.
//
// What undoes a step is drilled like a step: somebody cancels the run with the step's result.
//
// Read drill.go (what is drilled and what comes of it), then target.go and undo.go (where a fault can happen), faults.go,
// mcp.go, model.go and hostile.go (which faults there are), act.go, agent.go and people.go (what the world, the models of
// agents and people do in a play), judge.go (how a play ended), sample.go and infer.go (outputs that tools might give),
// pairs.go, baseline.go, and text.go, html.go and junit.go (how it is shown).
package drill
