package wire

import (
	"slices"
	"strings"

	"belay/internal/steps"
)

// Names builds and parses every name below one prefix ("belay" unless configured; streams use it in upper case).
type Names struct {
	Prefix string // of one token or more, with dots between
}

// Default has the prefix that is used when nothing is configured.
var Default = Names{Prefix: "belay"}

func (n Names) stream(kind string) string {
	return strings.ToUpper(strings.ReplaceAll(n.Prefix, ".", "_")) + "_" + kind
}

// The streams beside the log, and the subjects that each of them holds.
func (n Names) StepsStream() string         { return n.stream("STEPS") }
func (n Names) StepsSubjects() string       { return n.Prefix + ".steps.>" }
func (n Names) TimersStream() string        { return n.stream("TIMERS") }
func (n Names) TimersSubjects() string      { return n.Prefix + ".timers.>" }
func (n Names) EscalationsStream() string   { return n.stream("ESCALATIONS") }
func (n Names) EscalationsSubjects() string { return n.Prefix + ".escalations.>" }

// The audit trail: one subject for its records, in one order, and one for signed checkpoints of it.
func (n Names) AuditStream() string     { return n.stream("AUDIT") }
func (n Names) AuditSubjects() string   { return n.Prefix + ".audit.>" }
func (n Names) AuditRecord() string     { return n.Prefix + ".audit.record" }
func (n Names) AuditCheckpoint() string { return n.Prefix + ".audit.checkpoint" }

// CacheBucket is the key-value bucket of last good results.
func (n Names) CacheBucket() string { return n.stream("CACHE") }

// The key-value buckets of people's work: who has claimed what, who may do what, which keys sign approvals.
func (n Names) InboxBucket() string  { return n.stream("INBOX") }
func (n Names) AccessBucket() string { return n.stream("ACCESS") }
func (n Names) KeysBucket() string   { return n.stream("KEYS") }

// SettledBucket holds what people did about escalations that are settled.
func (n Names) SettledBucket() string { return n.stream("SETTLED") }

// RedrivesBucket holds what people decide for many at once, and how far it is.
func (n Names) RedrivesBucket() string { return n.stream("REDRIVES") }

// NoticesBucket holds what people were told.
func (n Names) NoticesBucket() string { return n.stream("NOTICES") }

// FaultsBucket holds the faults on purpose that people have asked for.
func (n Names) FaultsBucket() string { return n.stream("FAULTS") }

// TallyBucket holds what the log is known to hold.
func (n Names) TallyBucket() string { return n.stream("TALLY") }

// CanaryBucket is written to for no other reason than to see that the server stores what it is given.
func (n Names) CanaryBucket() string { return n.stream("CANARY") }

// Canary is the stream of that bucket, and the subject to which processes of a kind write.
func (n Names) Canary(kind string) (stream, subject string) {
	return "KV_" + n.CanaryBucket(), "$KV." + n.CanaryBucket() + "." + kind
}

// GatesBucket holds the gates that people have closed.
func (n Names) GatesBucket() string { return n.stream("GATES") }

// LimitsBucket holds when calls may begin, and which targets take none for a while.
func (n Names) LimitsBucket() string { return n.stream("LIMITS") }

// BreakersBucket holds the breakers that are not closed.
func (n Names) BreakersBucket() string { return n.stream("BREAKERS") }

// SchedulesBucket holds what people want run again and again.
func (n Names) SchedulesBucket() string { return n.stream("SCHEDULES") }

// ScoreBucket holds what came of calls.
func (n Names) ScoreBucket() string { return n.stream("SCORE") }

// Buckets are all buckets.
func (n Names) Buckets() []string {
	return []string{
		n.CacheBucket(), n.InboxBucket(), n.AccessBucket(), n.KeysBucket(), n.SettledBucket(), n.RedrivesBucket(), n.NoticesBucket(), n.FaultsBucket(), n.TallyBucket(),
		n.CanaryBucket(),
		n.GatesBucket(),
		n.LimitsBucket(),
		n.BreakersBucket(),
		n.SchedulesBucket(),
		n.ScoreBucket(),
	}
}

// PinGroup is the priority group of the consumers that are pinned to one dispatcher at a time.
const PinGroup = "dispatchers"

// DispatcherConsumer is the durable consumer on a log partition and on due timers.
const DispatcherConsumer = "dispatcher"

// StepConsumer is the durable consumer of one (tool, rung), StepFilter what it takes. Names may have dashes but no
// empty part, so two tildes between them keep a-b/c and a/b-c apart.
func (n Names) StepConsumer(tool, rung string) string { return toolToken(tool) + "~~" + rung }
func (n Names) StepFilter(tool, rung string) string {
	return n.Prefix + ".steps." + toolToken(tool) + "." + rung + ".>"
}

// ParseStepConsumer is the reverse of [Names.StepConsumer].
func (n Names) ParseStepConsumer(name string) (tool, rung string, ok bool) {
	token, rung, ok := strings.Cut(name, "~~")
	return toolName(token), rung, ok && token != "" && rung != ""
}

// ParseStepFilter is the reverse of [Names.StepFilter].
func (n Names) ParseStepFilter(filter string) (tool, rung string, ok bool) {
	t, ok := n.tokens(filter, "steps", 3)
	if !ok || t[2] != ">" {
		return "", "", false
	}
	return toolName(t[0]), t[1], true
}

// Step is the subject of an attempt's message.
func (n Names) Step(tool, rung, run string, a steps.Attempt) string {
	return n.Prefix + ".steps." + toolToken(tool) + "." + rung + "." + run + "." + unitToken(a.Step) + "." + a.Token()
}

// StepsOf matches every step message of a run.
func (n Names) StepsOf(run string) string { return n.Prefix + ".steps.*.*." + run + ".>" }

// StepsOfRung matches every step message of a run for one rung of a tool.
func (n Names) StepsOfRung(tool, rung, run string) string {
	return n.Prefix + ".steps." + toolToken(tool) + "." + rung + "." + run + ".>"
}

// ParseStep is the reverse of [Names.Step].
func (n Names) ParseStep(subject string) (tool, rung, run string, a steps.Attempt, ok bool) {
	t, ok := n.tokens(subject, "steps", 5)
	if !ok {
		return "", "", "", a, false
	}
	a, ok = steps.ParseAttempt(unitName(t[3]), t[4])
	return toolName(t[0]), t[1], t[2], a, ok
}

// Escalation is the subject of an escalation; one without a tool (a deadline, a dead letter) says "none".
func (n Names) Escalation(kind steps.EscalationKind, tool, id string) string {
	if tool == "" {
		tool = "none"
	}
	return n.Prefix + ".escalations." + string(kind) + "." + toolToken(tool) + "." + id
}

// ParseEscalation is the reverse of [Names.Escalation].
func (n Names) ParseEscalation(subject string) (kind steps.EscalationKind, tool, id string, ok bool) {
	t, ok := n.tokens(subject, "escalations", 3)
	if !ok {
		return "", "", "", false
	}
	return steps.EscalationKind(t[0]), toolName(t[1]), t[2], true
}

// People is the core NATS subject on which a dispatcher does what people ask for: it checks who they are, decides and
// signs.
func (n Names) People() string { return n.Prefix + ".people" }

// Acts is the core NATS subject that says that somebody did something to a run as a whole, so that the audit trail is
// read on at once; nothing stores the message.
func (n Names) Acts() string { return n.Prefix + ".acts" }

// Checkpoints is the core NATS subject on which a dispatcher announces each checkpoint of the audit trail to workers, which keep it; nothing
// stores the message, and they look for the newest by themselves now and then.
func (n Names) Checkpoints() string { return n.Prefix + ".checkpoints" }

// Report is the core NATS subject on which a dispatcher reports the end of a run to the program that submitted it with a
// token: the body is the run's document. Nothing stores the message, and nothing depends on it.
func (n Names) Report(token, run string) string { return n.Prefix + ".reports." + token + "." + run }

// ParseReport is the reverse of [Names.Report].
func (n Names) ParseReport(subject string) (token, run string, ok bool) {
	t, ok := n.tokens(subject, "reports", 2)
	if !ok {
		return "", "", false
	}
	return t[0], t[1], true
}

// Lists is the core NATS subject on which a dispatcher says which runs a list may show; see package runindex.
func (n Names) Lists() string { return n.Prefix + ".lists" }

// Store is the core NATS subject on which a dispatcher takes in that what was found about the log is accepted; see package tally.
func (n Names) Store() string { return n.Prefix + ".store" }

// Schedules is the core NATS subject on which a dispatcher adds and changes schedules; see package schedules.
func (n Names) Schedules() string { return n.Prefix + ".schedules" }

// Requests is the core NATS subject on which a dispatcher starts, cancels, steers, retries and replays runs for programs that may not
// write logs themselves; see package requests.
func (n Names) Requests() string { return n.Prefix + ".requests" }

// Gates is the core NATS subject on which a dispatcher closes and opens gates; see package gates.
func (n Names) Gates() string { return n.Prefix + ".gates" }

// Stop is the core NATS subject that tells the worker with an attempt to stop it; nothing stores the message.
func (n Names) Stop(run string, a steps.Attempt) string {
	return n.Prefix + ".stop." + run + "." + unitToken(a.Step) + "." + a.Token()
}

// StopUnbegun is the body of a stop that takes back only what nobody has begun: whoever executes the attempt goes on, and says that
// it does. The body of any other stop is empty.
const StopUnbegun = "unbegun"

// StopAll matches every stop message.
func (n Names) StopAll() string { return n.Prefix + ".stop.>" }

// ParseStop is the reverse of [Names.Stop].
func (n Names) ParseStop(subject string) (run string, a steps.Attempt, ok bool) {
	t, ok := n.tokens(subject, "stop", 3)
	if !ok {
		return "", a, false
	}
	a, ok = steps.ParseAttempt(unitName(t[1]), t[2])
	return t[0], a, ok
}

// unitToken is a unit's id as one token: that of an agent's call has a dot, `<step>~t3.1`.
func unitToken(id string) string { return strings.ReplaceAll(id, ".", "+") }

// unitName is the reverse of unitToken.
func unitName(token string) string { return strings.ReplaceAll(token, "+", ".") }

// tokens splits what follows `<prefix>.<kind>.` and reports whether it has exactly count tokens.
func (n Names) tokens(subject, kind string, count int) ([]string, bool) {
	rest, ok := strings.CutPrefix(subject, n.Prefix+"."+kind+".")
	if !ok {
		return nil, false
	}
	t := strings.Split(rest, ".")
	return t, len(t) == count && !slices.Contains(t, "")
}
