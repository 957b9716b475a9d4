package prove

import (
	"slices"

	"belay/internal/steps"
)

// Of a fault that is retried, its class decides how often. A rung's executor decides which of them there are: a command
// cannot say that it is rate limited, nor for how long. docs/faults.md lists them, and a test compares.

// anyRung are the classes that the worker itself may report of any attempt: lost with its worker, told to stop, an output
// that does not fit.
var anyRung = []steps.Class{steps.Crashed, steps.InvalidOutput, steps.Unavailable}

var byExecutor = map[string][]steps.Class{
	"http":    {steps.Timeout, steps.RateLimited, steps.Connection},
	"command": {steps.Timeout},
	"nats":    {steps.Timeout, steps.RateLimited, steps.Connection},
	"go":      {steps.Timeout, steps.RateLimited, steps.Connection},
	"remote":  {steps.Timeout, steps.RateLimited, steps.Connection},
	"mcp":     {steps.Timeout, steps.RateLimited, steps.Connection},
	"model":   {steps.Timeout, steps.RateLimited, steps.Connection},
	"cache":   {},
	"static":  {},
}

// naming are the executors whose other side may name the wait before the next try.
var naming = []string{"http", "nats", "go", "remote", "mcp", "model"}

// classesOf are the classes of faults of a rung that are retried.
func classesOf(executor string) []steps.Class {
	if executor == "human" {
		return nil
	}
	own, known := byExecutor[executor]
	if !known {
		own = []steps.Class{steps.Timeout, steps.RateLimited, steps.Connection}
	}
	return append(slices.Clone(own), anyRung...)
}

// saysAnything reports whether the other side of a rung may report a fault of any class, in whatever words it likes.
func saysAnything(executor string) bool {
	_, known := byExecutor[executor]
	return !known || executor == "go" || executor == "remote"
}

func namesWaits(executor string) bool {
	_, known := byExecutor[executor]
	return !known || slices.Contains(naming, executor)
}
