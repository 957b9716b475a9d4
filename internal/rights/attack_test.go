package rights_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/rights"
	"belay/internal/wire"
)

// attacker is a connection of somebody who means ill.
type attacker struct {
	*nats.Conn
	inbox string
	heard atomic.Pointer[map[string]bool] // texts that came to whatever it could subscribe to
}

// forms are a subject as it is, and as it is called where the streams are in another account.
func forms(subject string) []string {
	domain := "$JS." + rights.Domain(wire.Default) + ".API."
	if call, ok := strings.CutPrefix(subject, "$JS.API."); ok {
		return []string{subject, domain + call}
	}
	if strings.HasPrefix(subject, "$KV.") {
		return []string{subject, domain + subject}
	}
	return []string{subject}
}

// send publishes in every form of a subject, with a reply to wherever.
func (a *attacker) send(subject, reply, body string) {
	for _, s := range forms(subject) {
		_ = a.PublishRequest(s, reply, []byte(body))
	}
}

// own is the content that the attacker gets stored, by whatever it may publish, to have it delivered elsewhere.
const own = `{"v":1,"id":"forged"}`

func (a *attacker) stored() {
	for _, kind := range []string{"plan", "outcome", "claim.x.0-0-1"} {
		a.send("belay.runs.0.own."+kind, a.inbox, own)
	}
	a.send("$KV.BELAY_CACHE.own", a.inbox, own)
}

// mine reads the attacker's own content and has the server carry it to a subject.
func (a *attacker) carry(to string) {
	a.stored()
	for _, from := range [][2]string{{"BELAY_RUNS_0", "belay.runs.0.own.>"}, {"KV_BELAY_CACHE", "$KV.BELAY_CACHE.own"}} {
		ask := `{"last_by_subj":"` + from[1] + `"}`
		multi := `{"multi_last":["` + from[1] + `"],"batch":5}`
		a.send("$JS.API.DIRECT.GET."+from[0], to, multi)
		a.send("$JS.API.DIRECT.GET."+from[0], to, ask)
		a.send("$JS.API.STREAM.MSG.GET."+from[0], to, ask)
		for _, c := range []string{"pull", "push"} {
			config := map[string]any{"name": c + "er", "filter_subject": from[1], "ack_policy": "none", "deliver_policy": "all"}
			if c == "push" {
				config["deliver_subject"] = to
			}
			body, _ := json.Marshal(map[string]any{"stream_name": from[0], "config": config})
			a.send("$JS.API.CONSUMER.CREATE."+from[0]+"."+c+"er."+from[1], a.inbox, string(body))
		}
		a.send("$JS.API.CONSUMER.MSG.NEXT."+from[0]+".puller", to, `{"batch":1,"expires":1000000000}`)
	}
	a.send("belay.runs.0.own.plan", to, own)
	a.send("belay.runs.0.own.outcome", to, own)
	a.send("belay.people", to, own)
	a.send("belay.requests", to, own)
	a.send("$SRV.STATS.belay-dispatcher", to, "")
}

// attack is one thing that nobody may do but whose work it is.
type attack struct {
	name   string
	try    func(a *attacker)
	worked func(v *victim) bool
}

// victim is the store, seen by who administers it.
type victim struct {
	t  *testing.T
	js jetstream.JetStream
	a  *attacker
}

func (v *victim) has(stream, subject string) bool {
	s, err := v.js.Stream(v.t.Context(), stream)
	if err != nil {
		return false
	}
	_, err = s.GetLastMsgForSubject(v.t.Context(), subject)
	return err == nil
}

func (v *victim) info(stream string) *jetstream.StreamInfo {
	s, err := v.js.Stream(v.t.Context(), stream)
	if err != nil {
		return nil
	}
	return s.CachedInfo()
}

func publishes(subject, body string) func(*attacker) {
	return func(a *attacker) { a.send(subject, a.inbox, body) }
}

func lands(stream, subject string) func(*victim) bool {
	return func(v *victim) bool { return v.has(stream, subject) }
}

func hears(text string) func(*victim) bool {
	return func(v *victim) bool { return (*v.a.heard.Load())[text] }
}

const secret = "the secret of a token"

var cancelled = `{"v":1,"type":"cancelled","by":"zoe","reason":"forged"}`

// attacks are those of the threat model that go over NATS.
var attacks = []attack{
	{"puts a key into the bucket of keys", publishes("$KV.BELAY_KEYS.evil", own), lands("KV_BELAY_KEYS", "$KV.BELAY_KEYS.evil")},
	{"writes an admin's token", publishes("$KV.BELAY_ACCESS.token.evil", own), lands("KV_BELAY_ACCESS", "$KV.BELAY_ACCESS.token.evil")},
	{"reads what is known of tokens", func(a *attacker) {
		for _, s := range []string{"$JS.API.DIRECT.GET.KV_BELAY_ACCESS", "$JS.API.STREAM.MSG.GET.KV_BELAY_ACCESS"} {
			a.send(s, a.inbox, `{"last_by_subj":"$KV.BELAY_ACCESS.token.good"}`)
		}
	}, hears(secret)},
	{"hears what people show when they ask", func(*attacker) {}, hears("a token in clear")},
	{"reads what others are answered", func(*attacker) {}, hears("an answer for somebody else")},
	{"decides", publishes("belay.runs.0.victim.decision", own), lands("BELAY_RUNS_0", "belay.runs.0.victim.decision")},
	{"queues a step", publishes("belay.steps.pay.primary.victim.s.0-0-1", own), lands("BELAY_STEPS", "belay.steps.pay.primary.victim.s.0-0-1")},
	{"ends a run", publishes("belay.runs.0.victim.result", own), lands("BELAY_RUNS_0", "belay.runs.0.victim.result")},
	{"writes the audit trail", publishes("belay.audit.record", own), lands("BELAY_AUDIT", "belay.audit.record")},
	{"takes an escalation's place", publishes("belay.escalations.approval.pay.x-1", own), lands("BELAY_ESCALATIONS", "belay.escalations.approval.pay.x-1")},
	{"gives a slot of a limit away", publishes("$KV.BELAY_LIMITS.slots.x", own), lands("KV_BELAY_LIMITS", "$KV.BELAY_LIMITS.slots.x")},
	{"closes a breaker", publishes("$KV.BELAY_BREAKERS.breaker.x", own), lands("KV_BELAY_BREAKERS", "$KV.BELAY_BREAKERS.breaker.x")},
	{"opens a gate", publishes("$KV.BELAY_GATES.gate.x", own), lands("KV_BELAY_GATES", "$KV.BELAY_GATES.gate.x")},
	{"has a slot carried into the bucket", func(a *attacker) { a.carry("$KV.BELAY_LIMITS.slots.carried") }, lands("KV_BELAY_LIMITS", "$KV.BELAY_LIMITS.slots.carried")},
	{"cancels somebody's run", publishes("belay.runs.0.victim.plan", cancelled), lands("BELAY_RUNS_0", "belay.runs.0.victim.plan")},
	{"starts a run by itself", publishes("belay.runs.0.started.plan", own), lands("BELAY_RUNS_0", "belay.runs.0.started.plan")},
	{"has a token carried into the bucket", func(a *attacker) { a.carry("$KV.BELAY_ACCESS.token.carried") }, lands("KV_BELAY_ACCESS", "$KV.BELAY_ACCESS.token.carried")},
	{"has a decision carried into a log", func(a *attacker) { a.carry("belay.runs.0.carried.decision") }, lands("BELAY_RUNS_0", "belay.runs.0.carried.decision")},
	{"has a step carried into the queue", func(a *attacker) { a.carry("belay.steps.pay.primary.carried.s.0-0-1") }, lands("BELAY_STEPS", "belay.steps.pay.primary.carried.s.0-0-1")},
}

// What would have the dispatcher see nothing of most runs.
const (
	dispatcherConsumer = "$JS.API.CONSUMER.CREATE.BELAY_RUNS_0.dispatcher.belay.runs.0.x.>"
	changedConsumer    = `{"stream_name":"BELAY_RUNS_0","config":{"name":"dispatcher","durable_name":"dispatcher","filter_subject":"belay.runs.0.x.>","ack_policy":"explicit","ack_wait":5000000000,"max_deliver":-1,"max_ack_pending":20000,"deliver_policy":"all","replay_policy":"instant","priority_policy":"pinned_client","priority_timeout":4000000000,"priority_groups":["dispatchers"]}}`
)

// filter is what the dispatcher's consumer of a stream takes; empty = everything.
func (v *victim) filter(stream string) string {
	c, err := v.js.Consumer(v.t.Context(), stream, "dispatcher")
	if err != nil {
		return ""
	}
	return c.CachedInfo().Config.FilterSubject
}

// destructive come last.
var destructive = []attack{
	{"changes a stream", publishes("$JS.API.STREAM.UPDATE.BELAY_RUNS_1", `{"name":"BELAY_RUNS_1","subjects":["belay.runs.1.>"],"retention":"limits","storage":"file","discard":"new","max_age":3600000000000,"allow_direct":true,"allow_atomic":true,"duplicate_window":1000000000,"num_replicas":1}`),
		func(v *victim) bool { i := v.info("BELAY_RUNS_1"); return i != nil && i.Config.MaxAge != 0 }},
	{"purges the log", publishes("$JS.API.STREAM.PURGE.BELAY_RUNS_0", ""), func(v *victim) bool { return !v.has("BELAY_RUNS_0", "belay.runs.0.kept.plan") }},
	{"removes an entry", publishes("$JS.API.STREAM.MSG.DELETE.BELAY_RUNS_1", `{"seq":1}`), func(v *victim) bool { return !v.has("BELAY_RUNS_1", "belay.runs.1.kept.plan") }},
	{"changes the dispatcher's consumer", publishes(dispatcherConsumer, changedConsumer), func(v *victim) bool { return v.filter("BELAY_RUNS_0") != "" }},
	{"has the dispatcher's consumer changed by a reply", func(a *attacker) {
		a.send("belay.runs.0.consumer.plan", a.inbox, changedConsumer)
		a.send("belay.runs.0.consumer.outcome", a.inbox, changedConsumer)
		for _, kind := range []string{"plan", "outcome"} {
			for _, to := range forms(dispatcherConsumer) {
				a.send("$JS.API.DIRECT.GET.BELAY_RUNS_0", to, `{"last_by_subj":"belay.runs.0.consumer.`+kind+`"}`)
			}
		}
	}, func(v *victim) bool { return v.filter("BELAY_RUNS_0") != "" }},
	{"deletes the audit trail", publishes("$JS.API.STREAM.DELETE.BELAY_AUDIT", ""), func(v *victim) bool { return v.info("BELAY_AUDIT") == nil }},
	{"has a stream deleted by a reply", func(a *attacker) {
		a.stored()
		a.carry("$JS.API.STREAM.DELETE.BELAY_ESCALATIONS")
		a.emptyTo("$JS.API.STREAM.DELETE.BELAY_ESCALATIONS")
	},
		func(v *victim) bool { return v.info("BELAY_ESCALATIONS") == nil }},
}

// emptyTo has an entry without a body carried to a subject: the API of the server takes no other for a request to delete.
func (a *attacker) emptyTo(to string) {
	for _, kind := range []string{"plan", "outcome"} {
		a.send("belay.runs.0.empty."+kind, a.inbox, "")
		for _, t := range forms(to) {
			a.send("$JS.API.DIRECT.GET.BELAY_RUNS_0", t, `{"last_by_subj":"belay.runs.0.empty.`+kind+`"}`)
		}
	}
}

// own work of a role is not an attack.
var itsWork = map[rights.Role][]string{
	// Two desks are in one account, and may read the same.
	rights.Desk: {"reads what others are answered"},
	rights.Dispatcher: {
		"puts a key into the bucket of keys", "writes an admin's token", "reads what is known of tokens", "hears what people show when they ask", "decides", "queues a step", "ends a run",
		"writes the audit trail", "gives a slot of a limit away", "closes a breaker", "opens a gate", "has a slot carried into the bucket", "takes an escalation's place", "cancels somebody's run", "starts a run by itself", "has a token carried into the bucket", "has a decision carried into a log", "has a step carried into the queue", "purges the log",
	},
}

// besiege lets an attacker try everything, and returns what worked. Settle is how long it is waited for what should not happen; all is
// what should, if anything.
func besiege(t *testing.T, admin, evil, desk *nats.Conn, people func(), want []string, settle time.Duration) (worked []string) {
	t.Helper()
	js, err := jetstream.New(admin)
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{Conn: evil, inbox: evil.NewInbox()}
	a.listen(t)
	people()
	desk.Publish("belay.people", []byte("a token in clear"))
	v := &victim{t, js, a}
	for _, wave := range [][]attack{attacks, destructive} {
		for _, x := range wave {
			x.try(a)
		}
		if err := a.Flush(); err != nil {
			t.Fatal(err)
		}
		worked = append(worked, v.await(wave, want, settle)...)
	}
	return worked
}

func (v *victim) await(wave []attack, want []string, settle time.Duration) []string {
	end := time.After(settle)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		all, now := true, []string(nil)
		for _, x := range wave {
			ok := x.worked(v)
			if ok {
				now = append(now, x.name)
			}
			all = all && (ok || !slices.Contains(want, x.name))
		}
		if all && len(want) == len(attacks)+len(destructive) {
			return now
		}
		select {
		case <-look.C:
		case <-end:
			return now
		}
	}
}

// listen subscribes to whatever it may.
func (a *attacker) listen(t *testing.T) {
	t.Helper()
	heard := map[string]bool{}
	a.heard.Store(&heard)
	note := func(m *nats.Msg) {
		next := map[string]bool{}
		for k := range *a.heard.Load() {
			next[k] = true
		}
		for _, text := range []string{secret, "a token in clear", "an answer for somebody else"} {
			if bytes.Contains(m.Data, []byte(text)) {
				next[text] = true
			}
		}
		a.heard.Store(&next)
	}
	for _, s := range []string{">", "_INBOX.>", "_INBOX.*.*", "_R_.>", "belay.>", "belay.people", "$KV.>", "$JS.>"} {
		if _, err := a.Subscribe(s, note); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
}

// prepare makes the streams and what is to be attacked in them.
func prepare(t *testing.T, setup bus.Options, admin *nats.Conn) {
	t.Helper()
	b, err := bus.Connect(t.Context(), setup)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Setup(t.Context(), bus.SetupOptions{Partitions: layout.Partitions}); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range b.Names().Buckets() {
		if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range [][2]string{{"$KV.BELAY_ACCESS.token.good", secret}, {"belay.runs.0.kept.plan", own}, {"belay.runs.1.kept.plan", own}} {
		if _, err := js.Publish(context.Background(), m[0], []byte(m[1])); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAttacks tries each attack as each role, where the accounts are in the server's file and where they are JWTs.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for form, start := range map[string]func(testing.TB, rights.Layout) place{"file": startLayout, "JWTs": startJWTs} {
		for _, role := range []rights.Role{rights.Dispatcher, rights.Worker, rights.Submitter, rights.Desk, rights.Reader} {
			t.Run(form+"/"+string(role), func(t *testing.T) {
				t.Parallel()
				attackAs(t, start(t, layout), role)
			})
		}
	}
}

func attackAs(t *testing.T, s place, role rights.Role) {
	t.Helper()
	admin := dial(t, s, "provisioner")
	prepare(t, as(s, "dispatcher", &complaints{}), admin)
	worked := besiege(t, admin, dial(t, s, string(role)), dial(t, s, "desk"), answering(t, dial(t, s, "dispatcher"), dial(t, s, "desk")), nil, time.Second)
	for _, x := range worked {
		if !slices.Contains(itsWork[role], x) {
			t.Errorf("a %s %s", role, x)
		}
	}
	t.Logf("%d attacks, %d refused; what worked: %s", len(attacks)+len(destructive), len(attacks)+len(destructive)-len(worked), strings.Join(worked, "; "))
}

// answering has a dispatcher answer somebody, over a subject of its own.
func answering(t *testing.T, dispatcher, desk *nats.Conn) func() {
	return func() {
		t.Helper()
		if _, err := dispatcher.QueueSubscribe("belay.people", "q", func(m *nats.Msg) { _ = m.Respond([]byte("an answer for somebody else")) }); err != nil {
			t.Fatal(err)
		}
		if err := dispatcher.Flush(); err != nil {
			t.Fatal(err)
		}
		if m, err := desk.Request("belay.people", nil, 30*time.Second); err != nil || string(m.Data) != "an answer for somebody else" {
			t.Fatalf("%v", err)
		}
	}
}

// TestAttacksWithoutPermissions: where everybody may do everything, each of the attacks works. So they have power.
func TestAttacksWithoutPermissions(t *testing.T) {
	t.Parallel()
	s := startConf(t, "listen: \"127.0.0.1:4222\"\njetstream { store_dir: /var/lib/nats }\n")
	plain := func() *nats.Conn {
		nc, err := nats.Connect(s.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	admin := plain()
	prepare(t, bus.Options{Server: s.ClientURL()}, admin)
	var all []string
	for _, x := range append(slices.Clone(attacks), destructive...) {
		all = append(all, x.name)
	}
	worked := besiege(t, admin, plain(), plain(), answering(t, plain(), plain()), all, 30*time.Second)
	for _, x := range all {
		if !slices.Contains(worked, x) {
			t.Errorf("without permissions it does not work either: %s", x)
		}
	}
}

// TestPermissionsInOneAccountWouldNotDo is why each role has an account of its own: whoever may only store plans and read them again
// has the server itself write a token, and delete a stream.
func TestPermissionsInOneAccountWouldNotDo(t *testing.T) {
	t.Parallel()
	s := startConf(t, `listen: "127.0.0.1:4222"
jetstream { store_dir: /var/lib/nats }
accounts { ALL { jetstream: enabled, users: [
  {user: provisioner, password: pw-provisioner}
  {user: submitter, password: pw-submitter, permissions: {publish: ["belay.runs.*.*.plan", "$JS.API.DIRECT.GET.BELAY_RUNS_0"], subscribe: "_INBOX.>"}}
]}}
`)
	at := place{Server: s}
	admin := dial(t, at, "provisioner")
	prepare(t, as(at, "provisioner", &complaints{}), admin)
	js, err := jetstream.New(admin)
	if err != nil {
		t.Fatal(err)
	}
	evil := dial(t, at, "submitter")
	v := &victim{t, js, &attacker{Conn: evil, inbox: evil.NewInbox()}}
	v.a.carry("$KV.BELAY_ACCESS.token.carried")
	v.a.emptyTo("$JS.API.STREAM.DELETE.BELAY_AUDIT")
	end, look := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer look.Stop()
	for !v.has("KV_BELAY_ACCESS", "$KV.BELAY_ACCESS.token.carried") || v.info("BELAY_AUDIT") != nil {
		select {
		case <-look.C:
		case <-end:
			t.Fatal("the server does not carry replies everywhere any more: permissions in one account may do now")
		}
	}
}
