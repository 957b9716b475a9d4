package drill

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/sim"
	"belay/internal/steps"
)

// fault is something that can go wrong.
type fault struct {
	name  string
	title string // what it is, in a few words
	on    targetKind
	// plays are the ways in which it can come about at a target; or why says why it cannot.
	plays func(d *Drill, t *target) (all []*play, why string)
}

func faultsOf(kind targetKind) []fault {
	var list []fault
	for _, f := range faults {
		if f.on == kind {
			list = append(list, f)
		}
	}
	return list
}

// faults are the columns of the matrix.
var faults = []fault{
	{"timeout", "no answer in time", onRung, timeouts},
	{"refused", "connection refused", onRung, answers(refused)},
	{"500", "HTTP 500", onRung, status(http.StatusInternalServerError, 0)},
	{"429", "HTTP 429, Retry-After: 2", onRung, status(http.StatusTooManyRequests, 2*time.Second)},
	{"401", "HTTP 401", onRung, status(http.StatusUnauthorized, 0)},
	{"400", "HTTP 400", onRung, status(http.StatusBadRequest, 0)},
	{"error", "exit code 1, or an error of its own", onRung, answers(ownError)},
	{"panic", "the handler panics", onRung, answers(panics)},
	{"garbage", "an answer that is no JSON", onRung, answers(raw("<html>Bad gateway"))},
	{"empty", "an empty answer", onRung, answers(raw(""))},
	{"no-content", "an MCP result with nothing in it, which is a success", onRung, noContent},
	{"schema", "an answer that does not fit output_schema", onRung, answers(misfit)},
	{"asks", "it asks for a person in the middle of a call", onRung, answers(asks)},
	{"changed", "the MCP server's tool is not that of the tools file", onRung, answers(changed)},
	{"overloaded", "the model's provider is overloaded (529)", onRung, model(steps.Fault{Class: steps.Unavailable, Reason: steps.Overloaded, Status: 529, Message: "529 Overloaded"})},
	{"refusal", "the model declines", onRung, model(steps.Fault{Class: steps.ToolError, Reason: steps.Refusal, Final: true, Message: "the model declines: it does not say why"})},
	{"filtered", "the provider's filter stops the model", onRung, model(steps.Fault{Class: steps.ToolError, Reason: steps.ContentFilter, Final: true, Message: "the provider's content filter has stopped the answer"})},
	{"truncated", "the model's answer is cut off at its longest output", onRung, model(steps.Fault{Class: steps.InvalidOutput, Reason: steps.Truncated, Final: true, Message: "the answer was cut off at the longest output that is allowed"})},
	{"too-long", "the conversation does not fit into the model", onRung, model(steps.Fault{Class: steps.InvalidInput, Reason: steps.ContextTooLong, Final: true, Status: 400, Message: "400 Bad Request: the conversation is too long"})},
	{"misfit", "the model proposes calls that do not fit, or answers what does not", onRung, misfits},
	{"repeats", "the model proposes the same calls again and again", onRung, repeats},
	{"endless", "the model proposes other calls without end", onRung, endless},
	{"hostile", "the model tries to get calls past those who approve them", onRung, hostile},
	{"cache-empty", "nothing in the cache", onRung, answers(cacheEmpty)},
	{"killed-before", "worker killed before the effect", onRung, troubles(sim.KilledBefore)},
	{"killed-after", "worker killed after the effect, before it reports", onRung, troubles(sim.KilledAfter)},
	{"killed-for-good", "the last worker killed after the effect", onRung, troubles(sim.KilledForGood)},
	{"late", "worker cut off; its result comes after a redelivery", onRung, troubles(sim.CutOff)},
	{"delivered-twice", "message delivered to two workers", onRung, troubles(sim.DeliveredTwice)},
	{"reported-twice", "outcome stored twice", onRung, troubles(sim.ReportedTwice)},
	{"ack-lost", "outcome stored, acknowledgement lost", onRung, troubles(sim.AckLost)},
	{"no-worker", "no worker serves it", onRung, unserved},

	{"approve", "approved or answered", onQuestion, decisions(steps.VerbApprove, steps.VerbAnswer)},
	{"reject", "rejected", onQuestion, decisions(steps.VerbReject)},
	{"edit", "other parameters", onQuestion, decisions(steps.VerbEdit)},
	{"retry", "sent back as it is", onQuestion, decisions(steps.VerbRetry)},
	{"verify", "looked at with the probe", onQuestion, decisions(steps.VerbVerify)},
	{"skip", "skipped", onQuestion, decisions(steps.VerbSkip)},
	{"abort", "the run is aborted", onQuestion, decisions(steps.VerbAbort)},
	{"silence", "nobody decides", onQuestion, silence},
	{"too-late", "a decision after the deadline", onQuestion, tooLate},
	{"two-at-once", "two people decide in the same moment", onQuestion, atOnce},

	{"killed", "killed between any two publishes", onDispatcher, crashes},
}

// answers plays a call that ends in a fault or with an odd output: once and for good, and where it may have acted both with
// and without its effect.
func answers(of func(d *Drill, t *target) (h sim.Happens, why string)) func(*Drill, *target) ([]*play, string) {
	return func(d *Drill, t *target) ([]*play, string) {
		h, why := of(d, t)
		if why != "" {
			return nil, why
		}
		h.Took = usual
		var all []*play
		for _, once := range []bool{true, false} {
			all = append(all, hit(t, h, once))
			if t.acts() && (h.Fault == nil || h.Fault.MayHaveActed()) {
				acted := h
				acted.Acts = true
				all = append(all, hit(t, acted, once))
			}
		}
		return all, ""
	}
}

const inWorker = "it does not leave the worker"

func refused(_ *Drill, t *target) (sim.Happens, string) {
	switch s := t.spec(); {
	case s.HTTP != nil:
		return fails(steps.Connection, steps.ActedNo, "connect: connection refused"), ""
	case s.Model != nil:
		return fails(steps.Connection, steps.ActedNo, "connect: connection refused"), ""
	case s.NATS != nil:
		return fails(steps.Connection, steps.ActedNo, "no service listens on this subject: start one, or check the subject"), ""
	case s.Command != nil:
		return fails(steps.ToolError, steps.ActedNo, "could not be started: no such file or directory"), ""
	case s.Remote != nil:
		return fails(steps.Connection, steps.ActedNo, "the program that polled for it was gone before it got the call"), ""
	case s.MCP != nil:
		return refusedMCP(s.MCP), ""
	case s.Go != nil:
		return sim.Happens{}, "a Go handler runs in the worker: see error and panic"
	}
	return sim.Happens{}, inWorker
}

func fails(c steps.Class, acted steps.Acted, message string) sim.Happens {
	return sim.Happens{Fault: &steps.Fault{Class: c, Acted: acted, Message: message}}
}

// model is the play of what only a model's provider says. A call of a model changes nothing in the world.
func model(f steps.Fault) func(*Drill, *target) ([]*play, string) {
	return answers(func(_ *Drill, t *target) (sim.Happens, string) {
		if t.spec().Model == nil {
			return sim.Happens{}, "it is not a model"
		}
		f := f
		f.Acted = steps.ActedNo
		return sim.Happens{Fault: &f}, ""
	})
}

// Status is the play of any HTTP status.
func status(code int, wait time.Duration) func(*Drill, *target) ([]*play, string) {
	return answers(func(_ *Drill, t *target) (sim.Happens, string) {
		s := t.spec()
		if s.HTTP == nil && s.NATS == nil && s.Model == nil && (s.MCP == nil || s.MCP.Server.URL == "") {
			return sim.Happens{}, "only HTTP and NATS services, models and MCP servers behind a URL answer with a status"
		}
		class, acted := executor.OfStatus(code)
		if s.Model != nil {
			acted = steps.ActedNo
		}
		h := fails(class, acted, strconv.Itoa(code)+" "+http.StatusText(code))
		h.Fault.Status, h.Fault.RetryAfter = code, steps.Duration(wait)
		return h, ""
	})
}

func ownError(_ *Drill, t *target) (sim.Happens, string) {
	switch s := t.spec(); {
	case s.Command != nil:
		h := fails(steps.ToolError, steps.ActedMaybe, "exited with 1")
		h.Fault.Status = 1
		return h, ""
	case s.Go != nil, s.Remote != nil, s.MCP != nil:
		return fails(steps.ToolError, steps.ActedMaybe, "it failed"), ""
	case s.HTTP != nil, s.NATS != nil, s.Model != nil:
		return sim.Happens{}, "a service's own failures are statuses"
	}
	return sim.Happens{}, inWorker
}

func panics(_ *Drill, t *target) (sim.Happens, string) {
	if t.spec().Go == nil {
		return sim.Happens{}, "only Go handlers panic in the worker"
	}
	return fails(steps.ToolError, steps.ActedMaybe, "the handler panicked"), ""
}

// raw is what comes of an answer with these bytes, read as the executor reads it.
func raw(text string) func(d *Drill, t *target) (sim.Happens, string) {
	return func(d *Drill, t *target) (sim.Happens, string) {
		var format string
		var max int
		switch s := t.spec(); {
		case s.HTTP != nil:
			format, max = s.HTTP.Response, s.HTTP.MaxBytes
		case s.Command != nil:
			format, max = s.Command.Stdout, s.Command.MaxBytes
		case s.NATS != nil:
			max = s.NATS.MaxBytes
		case s.Remote != nil:
			max = s.Remote.MaxBytes
		case s.MCP != nil && text == "":
			return emptyMCP(), ""
		case s.MCP != nil:
			return garbageMCP(text), ""
		case s.Model != nil:
			return unharmed(sim.Happens{Fault: &steps.Fault{Class: steps.InvalidOutput, Message: "the answer is not what a model writes", Detail: text}}), ""
		case s.Go != nil:
			return sim.Happens{}, "what a Go handler returns is encoded by the worker"
		default:
			return sim.Happens{}, inWorker
		}
		out, err := executor.Output([]byte(text), format, max)
		return d.resulting(t, out, err), ""
	}
}

// resulting is what the worker makes of what an executor gave.
func (d *Drill) resulting(t *target, out json.RawMessage, err error) sim.Happens {
	r := ladder.Rung{CheckOutput: t.tool.CheckOutput, Reshape: t.def().Reshape}
	if t.rung == len(t.tool.Rungs) {
		r.CheckOutput = nil
	}
	if err == nil {
		out, err = r.Result(json.RawMessage("{}"), out)
	}
	if f, is := err.(steps.Fault); is { //nolint:errorlint // both make one, and wrap none
		return sim.Happens{Fault: &f}
	}
	return sim.Happens{Output: out}
}

// oddValues are values of which a schema refuses one, unless it takes any.
var oddValues = []string{`"unexpected"`, `{}`, `null`, `[]`, `0`, `{"unexpected":true}`}

// misfit is an output that the tool's schema refuses.
func misfit(d *Drill, t *target) (sim.Happens, string) {
	if t.tool.CheckOutput == nil || t.rung == len(t.tool.Rungs) {
		return sim.Happens{}, "the tool has no output_schema"
	}
	if t.def().Spec.Static != nil {
		return sim.Happens{}, "the fixed value has been checked"
	}
	for _, odd := range oddValues {
		if err := t.tool.CheckOutput(json.RawMessage(odd)); err != nil {
			h := d.resulting(&target{tool: t.tool, rung: t.rung, step: t.step}, json.RawMessage(odd), nil)
			if m := t.def().Spec.Model; m != nil && m.Schema != nil {
				h = unharmed(h) // the executor finds it, and knows that nothing happened
			}
			return h, ""
		}
	}
	return sim.Happens{}, "no simple value contradicts the output_schema"
}

// unharmed is h where nothing has happened in the world.
func unharmed(h sim.Happens) sim.Happens {
	if h.Fault != nil {
		f := *h.Fault
		f.Acted, h.Fault = steps.ActedNo, &f
	}
	return h
}

func cacheEmpty(_ *Drill, t *target) (sim.Happens, string) {
	if t.spec().Cache == nil {
		return sim.Happens{}, "it is not a cache"
	}
	return fails(steps.NotFound, steps.ActedNo, "there is no good result of "+t.tool.Name+" with these parameters yet"), ""
}

// timeouts lets a call take for ever; it is cut off at its timeout.
func timeouts(d *Drill, t *target) ([]*play, string) {
	if s := t.spec(); s.Static != nil || s.Cache != nil {
		return nil, inWorker
	}
	if t.def().Timeout <= 0 && t.tool.Timeout <= 0 {
		return nil, "nothing bounds it: neither the rung nor the tool has a timeout"
	}
	var all []*play
	for _, once := range []bool{true, false} {
		all = append(all, hit(t, sim.Happens{Took: forEver}, once))
		if t.acts() {
			all = append(all, hit(t, sim.Happens{Took: forEver, Acts: true}, once))
		}
	}
	return all, ""
}

const (
	usual   = 50 * time.Millisecond
	forEver = 24 * time.Hour
)

// troubles lets something befall the worker of a call that is good otherwise.
func troubles(what sim.Trouble) func(*Drill, *target) ([]*play, string) {
	return func(_ *Drill, t *target) ([]*play, string) {
		if t.spec().Static != nil && what == sim.KilledForGood {
			return nil, inWorker
		}
		var all []*play
		for _, once := range []bool{true, false} {
			if !once && (what == sim.KilledForGood || what == sim.ReportedTwice || what == sim.AckLost) {
				continue
			}
			all = append(all, &play{target: t, once: once, befalls: what})
		}
		return all, ""
	}
}

func unserved(_ *Drill, t *target) ([]*play, string) {
	return []*play{{target: t, unserved: true}}, ""
}

// crashes kills the dispatcher before each of its publishes, and after the last.
func crashes(d *Drill, t *target) ([]*play, string) {
	var all []*play
	if t.undoing == nil {
		for n := range d.base.Published {
			all = append(all, &play{target: t, crash: n + 1, reached: true})
		}
		return all, ""
	}
	for _, u := range d.undo {
		of := &target{kind: onDispatcher, undoing: u, base: u.base}
		for n := u.base.Cancelled; u.undone() && n < u.base.Published; n++ {
			all = append(all, &play{target: of, crash: n + 1, reached: true})
		}
	}
	return all, "the plan leaves out every step that could be undone, or is over once it is done"
}

// decisions plays another decision than the usual one, the first of these that is allowed.
func decisions(verbs ...steps.Verb) func(*Drill, *target) ([]*play, string) {
	return func(_ *Drill, t *target) ([]*play, string) {
		for _, v := range verbs {
			if slices.Contains(t.asked().Allowed, v) {
				return t.asking(play{verb: v}), ""
			}
		}
		return nil, "it may not be decided so"
	}
}

func silence(_ *Drill, t *target) ([]*play, string) {
	return t.asking(play{silent: true}), ""
}

func tooLate(_ *Drill, t *target) ([]*play, string) {
	e := t.asked()
	if e.Deadline.IsZero() {
		return nil, "it has no deadline"
	}
	return t.asking(play{late: e.Deadline.Sub(e.Opened) + time.Second}), ""
}

// atOnce lets one person approve or answer and another one refuse, in either order.
func atOnce(_ *Drill, t *target) ([]*play, string) {
	other := steps.VerbReject
	if t.asked().Kind != steps.KindApproval {
		other = steps.VerbAbort
	}
	return append(t.asking(play{verb: other, two: true}), t.asking(play{verb: other, two: true, twoFirst: true})...), ""
}
