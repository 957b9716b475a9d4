package main

import (
	"testing"

	"belay/internal/steps"
	"belay/internal/wire"
)

// TestNames holds this program's names, which stand here because it has no line of Belay in it, against the programs'.
func TestNames(t *testing.T) {
	t.Parallel()
	a := steps.Attempt{Step: "pay", Round: 1, Rung: 2, Try: 3}
	s := step{Run: "r1", Tool: "pay.out", RungName: "primary", attempt: attempt{Step: "pay", Round: 1, Rung: 2, Try: 3}}
	n := wire.Default
	for ours, theirs := range map[string]string{
		logStream(3): n.RunsStream(3),
		logSubject(3, "r1", outcomeKind("pay.out")): n.Outcome(3, "r1", "pay.out"),
		logSubject(3, "r1", ">"):                    n.LogOf(3, "r1"),
		stepsStream:                                 n.StepsStream(),
		stepConsumer("pay.out", "primary"):          n.StepConsumer("pay.out", "primary"),
		stepFilter("pay.out", "primary"):            n.StepFilter("pay.out", "primary"),
		stepSubject(s):                              n.Step("pay.out", "primary", "r1", a),
		stopPrefix + ">":                            n.StopAll(),
		stopPrefix + stopKey(s):                     n.Stop("r1", a),
	} {
		if ours != theirs {
			t.Errorf("%q, the programs say %q", ours, theirs)
		}
	}
	for _, run := range []string{"r1", "refund-1009", "0190f1d2"} {
		if w := (&worker{partitions: 4}); w.partition(run) != wire.Partition(run, 4) {
			t.Errorf("run %s is in partition %d, the programs say %d", run, w.partition(run), wire.Partition(run, 4))
		}
	}
}
