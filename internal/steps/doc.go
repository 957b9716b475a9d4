// Package steps is the pure core of Belay: it decides what happens when a step fails.
//
// It holds two functions. [Apply] folds one record of a run's log into the run's [State] and names the units that the
// record touched. [Wants] says what must exist outside the core because of a state: step messages in the queue, one
// timer, open escalations, withdrawals of claims, the result. The dispatcher publishes what is wanted and not yet
// there; nobody else decides anything about failure.
//
// The package does no I/O, reads no clock, starts no goroutine and draws no random number. Time is the log's own
// timestamp on each record ([Record.Time]); jitter is a hash of the attempt's name. So the same log gives the same
// result on any machine, and recovery is nothing but folding the log once more. Rules that would fold an old log in
// another way come with a new [Epoch]. A panic in here freezes one run: whoever folds a log recovers from it.
//
// Read the files in this order:
//
//	plan.go, program.go   what a run is given: the plan, its tools' policies, and their compiled expressions
//	event.go, fault.go    what can happen to a run, and why an attempt can fail
//	state.go, run.go      where a run, its escalations and its attempts stand
//	unit.go, phase.go     where a unit stands, and the table of what can follow (drawn in testdata/states.md)
//	apply.go              the fold: one function per event
//	begin.go              a unit starts: its condition, its items, its parameters, its first attempt
//	outcome.go, lost.go   an attempt starts, ends, is withdrawn or lost; overlooked.go: the queue has lost it
//	policy.go             after a fault: the same rung, the next rung, or a person
//	probe.go              an attempt that may have happened
//	inflight.go           until when a silent worker may still be at it; usage.go: what a model took and cost
//	people.go             escalations and what a decision does
//	approval.go           approvals before a call (canonical.go: what exactly is approved); denial.go: rejections
//	forged.go             messages that the run never wanted
//	question.go           rungs that are a person
//	agent.go              steps whose calls a model proposes; agentlimit.go: how far they go; conversation.go: what a model is asked;
//	                      agentsummary.go: when its first turns are summarised; summarytext.go: what it and its summaries are told of them
//	objection.go          workers whose tools file is stricter than the submitted one; toolpolicy.go: how two are joined
//	clock.go, ending.go   what time alone does, and how a run ends and is undone
//	epoch.go, name.go     rules by age, and whose name is whose; early.go: names that are used up
//	wants.go              what must exist outside
//
// The worker asks three more things of this package: [VerdictOn] (a message that may have been executed before),
// [Wanted] (a message that nobody may have asked for) and [Guard] (an approval, right before it acts). read.go, carry.go,
// replay.go, samestep.go, scope.go and reshape.go are for whoever reads a state: package view shows it, a retry goes on from it, a
// replay does it again from a step on, expressions and answers are evaluated on it.
package steps
