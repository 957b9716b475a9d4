package worker

import (
	"belay/internal/steps"
)

// object appends a policy of which the run has not heard to its log instead of executing: the core decides what follows from a
// stricter one. For runs of epoch 1, which do not know this, only the worker's own policy counts.
func (j *job) object() {
	j.Logger.Warn("this worker's tools file differs from the run's; the run is notified, and nothing is executed", "attempt", j.name(), "tool", j.m.Tool)
	j.report(steps.Objected{Attempt: j.m.Attempt, Worker: j.Name, Policy: j.rung.Tool.Policy()})
}

// submittedInput checks the parameters against the submitted schema, if that is not the worker's own.
func (j *job) submittedInput() error {
	if j.m.Policies == nil {
		return nil
	}
	return j.schemas.Check(j.m.Policies.InputSchema, j.m.Params)
}

// submittedOutput checks an output in the same way.
func (j *job) submittedOutput(out []byte) error {
	if j.m.Policies == nil {
		return nil
	}
	if err := j.schemas.Check(j.m.Policies.OutputSchema, out); err != nil {
		return steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: "the output does not fit the output_schema that the run was submitted with: " + err.Error()}
	}
	return nil
}
