package worker

import (
	"slices"

	"belay/internal/steps"
)

// objects reports whether this worker goes by a policy that the run has not heard of. Then it tells the run instead of
// executing: what follows from a stricter policy is for the core to say. The message has been dealt with. Messages of
// runs that do not ask (epoch 1) are judged by the worker alone, as ever.
func (j *job) objects() bool {
	if j.m.Policies == nil || slices.Contains(j.m.Policies.Heard, j.rung.Policy) {
		return false
	}
	j.Log.Warn("this worker's tools file is not what the run goes by; the run is told, and nothing is executed", "attempt", j.name(), "tool", j.m.Tool)
	j.report(steps.Objected{Attempt: j.m.Attempt, Worker: j.Name, Policy: j.rung.Tool.Policy()})
	return true
}

// submittedInput checks the parameters against the submitted schema, where that is not the worker's own.
func (j *job) submittedInput() error {
	if j.m.Policies == nil {
		return nil
	}
	return j.schemas.Check(j.m.Policies.InputSchema, j.m.Params)
}

// submittedOutput checks an output likewise.
func (j *job) submittedOutput(out []byte) error {
	if j.m.Policies == nil {
		return nil
	}
	if err := j.schemas.Check(j.m.Policies.OutputSchema, out); err != nil {
		return steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: "the output does not fit the output_schema that the run was submitted with: " + err.Error()}
	}
	return nil
}
