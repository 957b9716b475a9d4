package importtest

// publicRules are those of the packages that other modules import, of what they are made with, and of the examples for
// them. They come before all others.
var publicRules = []rule{
	{pkg: "belaytype", stdlib: []string{"encoding/json", "math", "strconv", "time"}, why: "what programs are given: data, and nothing of Belay"},
	{pkg: ".", may: []string{"belaytype", "internal/steps", "internal/steps/view", "internal/bus", "internal/borrow", "internal/yamldoc", "internal/plan", "internal/requests", "internal/prove", "internal/executor",
		"internal/executor/gofunc", "internal/runindex", "internal/runlog", "internal/dlq", "internal/people", "internal/approval", "internal/handoff",
		"internal/audit", "internal/gates", "internal/limits", "internal/passkey", "internal/schedules", "internal/score"}, nats: true,
		why: "the client, what handlers say, and Do: thin, see TestThin"},
	{pkg: "worker", may: []string{".", "internal/bus", "internal/cli", "internal/cli/worker", "internal/engine", "internal/gohandler", "internal/ladder", "internal/observe", "internal/outbound",
		"internal/plan", "internal/worker"}, why: "the stock worker with handlers of one's own"},
	{pkg: "embedded", may: []string{".", "internal/gohandler", "internal/inprocess", "internal/plan"}, why: "everything in one process"},
	{pkg: "belaytest", may: []string{".", "internal/drill", "belaytype", "internal/steps", "internal/plan", "internal/executor", "internal/executor/gofunc", "internal/ladder", "internal/gohandler",
		"internal/inprocess"}, why: "everything in one process, with tools that answer as a test says"},
	{pkg: "internal/gohandler", may: []string{".", "internal/executor", "internal/executor/gofunc", "internal/ladder"}, why: "public handlers for a worker"},
	{pkg: "internal/inprocess", may: []string{"internal/wire", ".", "internal/borrow", "internal/bus", "internal/bus/embedded", "internal/dispatch", "internal/engine", "internal/executor/gofunc", "internal/people", "internal/handoff",
		"internal/ladder", "internal/observe", "internal/plan", "internal/worker"}, nats: true, why: "server, dispatcher and worker behind a public client"},
	{pkg: "examples/goworker", may: []string{".", "worker"}, why: "what users write, with the public packages alone"},
	{pkg: "examples/embedded", may: []string{".", "embedded"}, why: "what users write, with the public packages alone"},
}
