package rights

import (
	"slices"

	"belay/internal/bus"
	"belay/internal/wire"
)

// granted is what a role has, put together by the methods below.
type granted struct {
	own
	imports []Import
}

// granting puts together what a role has of the other accounts.
type granting struct {
	Layout
	granted
}

func (g *granting) service(from, subject string) {
	g.take(Import{Export: Export{Subject: subject}, From: from})
}

// many is service for requests with several answers.
func (g *granting) many(from, subject string) {
	g.take(Import{Export: Export{Subject: subject, Many: true}, From: from})
}

// hear is for messages that nothing stores.
func (g *granting) hear(from, subject string) {
	g.take(Import{Export: Export{Subject: subject, Stream: true}, From: from})
}

// api is a call of the JetStream API, which is in the domain of the installation here.
func (g *granting) api(calls ...string) {
	for _, call := range calls {
		g.take(Import{Export: Export{Subject: "$JS.API." + call}, From: g.store(), Local: "$JS." + g.Domain() + ".API." + call})
	}
}

// apiMany is api for calls with several answers.
func (g *granting) apiMany(calls ...string) {
	for _, call := range calls {
		g.take(Import{Export: Export{Subject: "$JS.API." + call, Many: true}, From: g.store(), Local: "$JS." + g.Domain() + ".API." + call})
	}
}

func (g *granting) take(i Import) {
	if !slices.ContainsFunc(g.imports, func(have Import) bool { return have.Subject == i.Subject && have.From == i.From }) {
		g.imports = append(g.imports, i)
	}
}

// log are the streams of the log.
func (l Layout) log() (names []string) {
	for p := range l.Partitions {
		names = append(names, l.Names.RunsStream(p))
	}
	return names
}

// streams are those without the buckets.
func (l Layout) streams() []string {
	n := l.Names
	return append(l.log(), n.StepsStream(), n.TimersStream(), n.EscalationsStream(), n.AuditStream())
}

// open is what every program asks when it connects.
func (g *granting) open() {
	g.api("INFO")
	for _, s := range g.streams() {
		g.api("STREAM.INFO." + s)
	}
}

// read lets read what a stream holds.
func (g *granting) read(streams ...string) {
	for _, s := range streams {
		g.api("STREAM.INFO."+s, "STREAM.MSG.GET."+s)
		g.apiMany("DIRECT.GET." + s)
	}
}

// follow lets read a stream as it grows, with a consumer of one's own.
func (g *granting) follow(streams ...string) {
	for _, s := range streams {
		g.api("CONSUMER.CREATE."+s+".*.>", "CONSUMER.INFO."+s+".*")
		g.apiMany("CONSUMER.MSG.NEXT." + s + ".*")
	}
}

// look lets read and watch buckets.
func (g *granting) look(buckets ...string) {
	for _, b := range buckets {
		s := "KV_" + b
		g.read(s)
		g.apiMany("DIRECT.GET." + s + ".>")
		g.follow(s)
	}
}

// write lets write the keys of buckets. In a domain the client library puts them behind the API's prefix.
func (g *granting) write(buckets ...string) {
	for _, b := range buckets {
		subject := "$KV." + b + ".>"
		g.take(Import{Export: Export{Subject: subject}, From: g.store(), Local: "$JS." + g.Domain() + ".API." + subject})
	}
}

// stored lets publish to streams.
func (g *granting) stored(subjects ...string) {
	for _, s := range subjects {
		g.service(g.store(), s)
	}
}

// ack lets answer for messages of a stream's consumer.
func (g *granting) ack(stream, consumer string) {
	g.service(g.store(), "$JS.ACK."+stream+"."+consumer+".>")
}

// present lets ask which dispatchers and workers there are.
func (g *granting) present() {
	g.many(g.account("DISPATCHER"), statsOf(bus.DispatcherService))
	for _, w := range g.groups() {
		g.many(g.accountOf(w), statsOf(bus.WorkerService))
	}
}

// announce lets a program be found.
func (g *granting) announce(service string) {
	g.subscribe = append(g.subscribe, "$SRV.>", g.Names.Prefix+"."+service+".*")
	g.answers = true
}

func statsOf(service string) string { return "$SRV.STATS." + service }

func (l Layout) dispatcher() granted {
	g, n := granting{Layout: l}, l.Names
	g.api("INFO", "STREAM.NAMES", "STREAM.INFO.*", "STREAM.MSG.GET.*", "CONSUMER.CREATE.>", "CONSUMER.INFO.*.*", "CONSUMER.DELETE.*.*", "CONSUMER.LIST.*", "CONSUMER.UNPIN.*.*")
	g.apiMany("DIRECT.GET.>", "CONSUMER.MSG.NEXT.*.*")
	for _, s := range append(l.streams(), prefixed("KV_", n.Buckets())...) {
		g.api("STREAM.CREATE." + s)
	}
	for _, s := range append(l.log(), n.StepsStream(), n.EscalationsStream()) {
		g.api("STREAM.PURGE." + s) // the janitor, what is withdrawn, what is decided
	}
	g.write(n.Buckets()...)
	g.stored(n.Prefix+".runs.>", n.StepsSubjects(), n.TimersSubjects(), n.EscalationsSubjects(), n.AuditSubjects())
	for _, s := range append(l.log(), n.TimersStream()) {
		g.ack(s, wire.DispatcherConsumer)
	}
	for _, w := range l.groups() {
		g.many(l.accountOf(w), statsOf(bus.WorkerService))
	}
	g.publish = append(g.publish, n.StopAll(), n.Checkpoints(), n.Report("*", "*"), n.Acts(), n.People(), n.Lists(), n.Store(), n.Gates(), n.Schedules(), n.Requests(), statsOf(bus.DispatcherService))
	g.subscribe = append(g.subscribe, n.Acts(), n.People(), n.Lists(), n.Store(), n.Gates(), n.Schedules(), n.Requests())
	g.announce(bus.DispatcherService)
	return g.granted
}

func prefixed(prefix string, names []string) (all []string) {
	for _, n := range names {
		all = append(all, prefix+n)
	}
	return all
}

func (l Layout) worker(w Group) granted {
	g, n := granting{Layout: l}, l.Names
	g.open()
	g.read(l.log()...)
	if w.Rungs == nil {
		g.stored(n.Prefix+".runs.*.*."+wire.KindOutcome, n.Prefix+".runs.*.*."+wire.KindClaim+".>")
	}
	steps := n.StepsStream()
	for _, r := range w.Rungs {
		g.stored(n.Outcomes(r.Tool), n.ToolClaims(r.Tool))
		c := n.StepConsumer(r.Tool, r.Name)
		g.api("CONSUMER.CREATE."+steps+"."+c+"."+n.StepFilter(r.Tool, r.Name), "CONSUMER.INFO."+steps+"."+c)
		g.apiMany("CONSUMER.MSG.NEXT." + steps + "." + c)
		g.ack(steps, c)
	}
	if w.Rungs == nil {
		g.api("CONSUMER.CREATE."+steps+".*."+n.StepsSubjects(), "CONSUMER.INFO."+steps+".*")
		g.apiMany("CONSUMER.MSG.NEXT." + steps + ".*")
		g.ack(steps, "*")
	}
	g.hear(l.account("DISPATCHER"), n.StopAll())
	g.hear(l.account("DISPATCHER"), n.Checkpoints())
	g.api("DIRECT.GET." + n.AuditStream() + "." + n.AuditCheckpoint()) // the newest one, and no record
	g.look(n.KeysBucket(), n.FaultsBucket(), n.CacheBucket())
	g.read("KV_" + n.CanaryBucket())
	g.write(n.CacheBucket(), n.CanaryBucket())
	g.api("STREAM.CREATE.KV_" + n.CacheBucket()) // only workers use it, and the first one makes it
	g.announce(bus.WorkerService)
	return g.granted
}

func (l Layout) submitter() granted {
	g, n := granting{Layout: l}, l.Names
	g.looks()
	g.service(l.account("DISPATCHER"), n.Requests())
	g.hear(l.account("DISPATCHER"), n.Report("*", "*"))
	return g.granted
}

func (l Layout) desk() granted {
	g, n := granting{Layout: l}, l.Names
	g.looks()
	g.watches()
	g.service(l.account("DISPATCHER"), n.People())
	g.service(l.account("DISPATCHER"), n.Store())
	g.service(l.account("DISPATCHER"), n.Gates())
	g.service(l.account("DISPATCHER"), n.Schedules())
	return g.granted
}

func (l Layout) reader() granted {
	g := granting{Layout: l}
	g.looks()
	g.watches()
	return g.granted
}

// looks lets look at runs and at what waits.
func (g *granting) looks() {
	n := g.Names
	g.open()
	g.read(append(g.log(), n.EscalationsStream())...)
	g.follow(append(g.log(), n.EscalationsStream())...)
	g.api("CONSUMER.LIST." + n.StepsStream())
	g.service(g.account("DISPATCHER"), n.Lists())
	g.present()
	g.look(n.GatesBucket()) // what holds a run back
	g.look(n.LimitsBucket())
	g.look(n.BreakersBucket())
}

// watches lets look at what people have done, and at what is kept of it.
func (g *granting) watches() {
	n := g.Names
	g.read(n.AuditStream())
	g.follow(n.AuditStream())
	g.look(n.SchedulesBucket(), n.InboxBucket(), n.SettledBucket(), n.RedrivesBucket(), n.NoticesBucket(), n.KeysBucket(), n.FaultsBucket(), n.TallyBucket(), n.ScoreBucket())
}
