package rights_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
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
	heard chan *nats.Msg // what came to whatever it could subscribe to
	texts []string       // what it has read of that
	tries int            // consumers that it has tried to make
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

// sources are the streams that the attacker may have content of its own in, and where that is.
var sources = [][2]string{{"BELAY_RUNS_0", "belay.runs.0.own.>"}, {"KV_BELAY_CACHE", "$KV.BELAY_CACHE.own"}}

// carries has the server carry the attacker's own content to a subject, in every way in which it answers: what is to be carried is stored
// first, and a consumer is asked only once it is there.
func carries(to string) []func(*attacker) {
	var made []string // the consumers
	return []func(*attacker){
		(*attacker).stored,
		func(a *attacker) { made = a.carry(to) },
		func(a *attacker) {
			for n, name := range made {
				a.send("$JS.API.CONSUMER.MSG.NEXT."+sources[n][0]+"."+name, to, `{"batch":5,"expires":30000000000}`)
			}
		},
	}
}

// carry reads what is stored with the subject as the reply, and makes consumers: one that delivers there, and one to be asked for it.
func (a *attacker) carry(to string) (pulls []string) {
	for _, from := range sources {
		ask := `{"last_by_subj":"` + from[1] + `"}`
		a.send("$JS.API.DIRECT.GET."+from[0], to, `{"multi_last":["`+from[1]+`"],"batch":5}`)
		a.send("$JS.API.DIRECT.GET."+from[0], to, ask)
		a.send("$JS.API.STREAM.MSG.GET."+from[0], to, ask)
		a.tries++
		pull, push := fmt.Sprint("puller", a.tries), fmt.Sprint("pusher", a.tries)
		a.consumer(from, map[string]any{"name": push, "deliver_subject": to})
		a.consumer(from, map[string]any{"name": pull})
		pulls = append(pulls, pull)
	}
	a.send("belay.runs.0.own.plan", to, own)
	a.send("belay.runs.0.own.outcome", to, own)
	a.send("belay.people", to, own)
	a.send("belay.requests", to, own)
	a.send("$SRV.STATS.belay-dispatcher", to, "")
	return pulls
}

func (a *attacker) consumer(from [2]string, config map[string]any) {
	maps.Copy(config, map[string]any{"filter_subject": from[1], "ack_policy": "none", "deliver_policy": "all"})
	body, _ := json.Marshal(map[string]any{"stream_name": from[0], "config": config})
	a.send(fmt.Sprintf("$JS.API.CONSUMER.CREATE.%s.%s.%s", from[0], config["name"], from[1]), a.inbox, string(body))
}

// attack is one thing that nobody may do but whose work it is.
type attack struct {
	name   string
	try    []func(a *attacker) // one after the other, each when all that the one before it did has had its effect
	worked func(v *victim) bool
}

// victim is the store, seen by who administers it.
type victim struct {
	t       *testing.T
	js      jetstream.JetStream
	server  *server.Server
	a       *attacker
	answers func() // whoever answers people has answered everybody who asked before
	markers int    // that were written
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

func publishes(subject, body string) []func(*attacker) {
	return []func(*attacker){func(a *attacker) { a.send(subject, a.inbox, body) }}
}

func lands(stream, subject string) func(*victim) bool {
	return func(v *victim) bool { return v.has(stream, subject) }
}

// hears looks for a text as it is, and as the server's API gives the content of a message.
func hears(text string) func(*victim) bool {
	coded := base64.StdEncoding.EncodeToString([]byte(text))
	return func(v *victim) bool {
		return slices.ContainsFunc(v.a.texts, func(have string) bool { return strings.Contains(have, text) || strings.Contains(have, coded) })
	}
}

const secret = "the secret of a token"

var cancelled = `{"v":1,"type":"cancelled","by":"zoe","reason":"forged"}`

// attacks are those of the threat model that go over NATS.
var attacks = []attack{
	{"puts a key into the bucket of keys", publishes("$KV.BELAY_KEYS.evil", own), lands("KV_BELAY_KEYS", "$KV.BELAY_KEYS.evil")},
	{"writes an admin's token", publishes("$KV.BELAY_ACCESS.token.evil", own), lands("KV_BELAY_ACCESS", "$KV.BELAY_ACCESS.token.evil")},
	{"reads what is known of tokens", []func(*attacker){func(a *attacker) {
		for _, s := range []string{"$JS.API.DIRECT.GET.KV_BELAY_ACCESS", "$JS.API.STREAM.MSG.GET.KV_BELAY_ACCESS"} {
			a.send(s, a.inbox, `{"last_by_subj":"$KV.BELAY_ACCESS.token.good"}`)
		}
	}}, hears(secret)},
	{"hears what people show when they ask", nil, hears("a token in clear")},
	{"reads what others are answered", nil, hears("an answer for somebody else")},
	{"decides", publishes("belay.runs.0.victim.decision", own), lands("BELAY_RUNS_0", "belay.runs.0.victim.decision")},
	{"queues a step", publishes("belay.steps.pay.primary.victim.s.0-0-1", own), lands("BELAY_STEPS", "belay.steps.pay.primary.victim.s.0-0-1")},
	{"ends a run", publishes("belay.runs.0.victim.result", own), lands("BELAY_RUNS_0", "belay.runs.0.victim.result")},
	{"writes the audit trail", publishes("belay.audit.record", own), lands("BELAY_AUDIT", "belay.audit.record")},
	{"takes an escalation's place", publishes("belay.escalations.approval.pay.x-1", own), lands("BELAY_ESCALATIONS", "belay.escalations.approval.pay.x-1")},
	{"gives a slot of a limit away", publishes("$KV.BELAY_LIMITS.slots.x", own), lands("KV_BELAY_LIMITS", "$KV.BELAY_LIMITS.slots.x")},
	{"closes a breaker", publishes("$KV.BELAY_BREAKERS.breaker.x", own), lands("KV_BELAY_BREAKERS", "$KV.BELAY_BREAKERS.breaker.x")},
	{"opens a gate", publishes("$KV.BELAY_GATES.gate.x", own), lands("KV_BELAY_GATES", "$KV.BELAY_GATES.gate.x")},
	{"has a slot carried into the bucket", carries("$KV.BELAY_LIMITS.slots.carried"), lands("KV_BELAY_LIMITS", "$KV.BELAY_LIMITS.slots.carried")},
	{"cancels somebody's run", publishes("belay.runs.0.victim.plan", cancelled), lands("BELAY_RUNS_0", "belay.runs.0.victim.plan")},
	{"starts a run by itself", publishes("belay.runs.0.started.plan", own), lands("BELAY_RUNS_0", "belay.runs.0.started.plan")},
	{"has a token carried into the bucket", carries("$KV.BELAY_ACCESS.token.carried"), lands("KV_BELAY_ACCESS", "$KV.BELAY_ACCESS.token.carried")},
	{"has a decision carried into a log", carries("belay.runs.0.carried.decision"), lands("BELAY_RUNS_0", "belay.runs.0.carried.decision")},
	{"has a step carried into the queue", carries("belay.steps.pay.primary.carried.s.0-0-1"), lands("BELAY_STEPS", "belay.steps.pay.primary.carried.s.0-0-1")},
}

// What would have the dispatcher see nothing of most runs of a partition.
func dispatcherConsumer(p string) string {
	return "$JS.API.CONSUMER.CREATE.BELAY_RUNS_" + p + ".dispatcher.belay.runs." + p + ".x.>"
}

func changedConsumer(p string) string {
	return strings.ReplaceAll(`{"stream_name":"BELAY_RUNS_P","config":{"name":"dispatcher","durable_name":"dispatcher","filter_subject":"belay.runs.P.x.>","ack_policy":"explicit","ack_wait":5000000000,"max_deliver":-1,"max_ack_pending":20000,"deliver_policy":"all","replay_policy":"instant","priority_policy":"pinned_client","priority_timeout":4000000000,"priority_groups":["dispatchers"]}}`, "P", p)
}

// filter is what the dispatcher's consumer of a stream takes; empty = everything.
func (v *victim) filter(stream string) string {
	c, err := v.js.Consumer(v.t.Context(), stream, "dispatcher")
	if err != nil {
		return ""
	}
	return c.CachedInfo().Config.FilterSubject
}

// byReply has an entry with this body, stored beforehand, carried to a subject of the server's API. That takes no other than an empty one
// for a request to delete.
func byReply(run, body, to string) []func(*attacker) {
	kinds := []string{"plan", "outcome"}
	return []func(*attacker){
		func(a *attacker) {
			for _, kind := range kinds {
				a.send("belay.runs.0."+run+"."+kind, a.inbox, body)
			}
		},
		func(a *attacker) {
			for _, kind := range kinds {
				for _, t := range forms(to) {
					a.send("$JS.API.DIRECT.GET.BELAY_RUNS_0", t, `{"last_by_subj":"belay.runs.0.`+run+"."+kind+`"}`)
				}
			}
		},
	}
}

// destructive come later, and last of all those that take away what the others need.
var (
	destructive = []attack{
		{"changes a stream", publishes("$JS.API.STREAM.UPDATE.BELAY_RUNS_1", `{"name":"BELAY_RUNS_1","subjects":["belay.runs.1.>"],"retention":"limits","storage":"file","discard":"new","max_age":3600000000000,"allow_direct":true,"allow_atomic":true,"duplicate_window":1000000000,"num_replicas":1}`),
			func(v *victim) bool { i := v.info("BELAY_RUNS_1"); return i != nil && i.Config.MaxAge != 0 }},
		{"removes an entry", publishes("$JS.API.STREAM.MSG.DELETE.BELAY_RUNS_1", `{"seq":1}`), func(v *victim) bool { return !v.has("BELAY_RUNS_1", "belay.runs.1.kept.plan") }},
		{"changes the dispatcher's consumer", publishes(dispatcherConsumer("0"), changedConsumer("0")), func(v *victim) bool { return v.filter("BELAY_RUNS_0") != "" }},
		{"has the dispatcher's consumer changed by a reply", byReply("consumer", changedConsumer("1"), dispatcherConsumer("1")), func(v *victim) bool { return v.filter("BELAY_RUNS_1") != "" }},
		{"has a stream deleted by a reply", slices.Concat(carries("$JS.API.STREAM.DELETE.BELAY_ESCALATIONS"), byReply("empty", "", "$JS.API.STREAM.DELETE.BELAY_ESCALATIONS")),
			func(v *victim) bool { return v.info("BELAY_ESCALATIONS") == nil }},
	}
	last = []attack{
		{"purges the log", publishes("$JS.API.STREAM.PURGE.BELAY_RUNS_0", ""), func(v *victim) bool { return !v.has("BELAY_RUNS_0", "belay.runs.0.kept.plan") }},
		{"deletes the audit trail", publishes("$JS.API.STREAM.DELETE.BELAY_AUDIT", ""), func(v *victim) bool { return v.info("BELAY_AUDIT") == nil }},
	}
	waves = [][]attack{attacks, destructive, last}
	all   = slices.Concat(waves...)
)

// own work of a role is not an attack.
var itsWork = map[rights.Role][]string{
	// Two desks are in one account, and may read the same.
	rights.Desk: {"reads what others are answered"},
	rights.Dispatcher: {
		"puts a key into the bucket of keys", "writes an admin's token", "reads what is known of tokens", "hears what people show when they ask", "decides", "queues a step", "ends a run",
		"writes the audit trail", "gives a slot of a limit away", "closes a breaker", "opens a gate", "has a slot carried into the bucket", "takes an escalation's place", "cancels somebody's run", "starts a run by itself", "has a token carried into the bucket", "has a decision carried into a log", "has a step carried into the queue", "purges the log",
	},
}

// besiege lets an attacker try everything, and returns what worked.
func besiege(v *victim, evil, desk *nats.Conn, ask func() *nats.Conn) (worked []string) {
	v.t.Helper()
	v.a = &attacker{Conn: evil, inbox: evil.NewInbox()}
	v.a.listen(v.t)
	dispatcher := ask()
	v.answers = func() {
		ask()
		flush(v.t, dispatcher)
	}
	if err := desk.Publish("belay.people", []byte("a token in clear")); err != nil {
		v.t.Fatal(err)
	}
	flush(v.t, desk)
	for _, wave := range waves {
		for n, more := 0, true; more; n++ {
			more = false
			for _, x := range wave {
				if n < len(x.try) {
					x.try[n](v.a)
					more = true
				}
			}
			v.settle()
		}
		v.a.read(v.t)
		for _, x := range wave {
			if x.worked(v) {
				worked = append(worked, x.name)
			}
		}
	}
	return worked
}

func flush(t *testing.T, nc *nats.Conn) {
	t.Helper()
	if err := nc.FlushTimeout(30 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// settle returns once everything that the attacker has sent had its effect, or was refused. First the server has read it; then somebody who
// may sends markers behind it, in each way that it can have gone, and sees them where they go: in the streams, in what streams and consumers
// send, in the answers of the API and of whoever answers people. What came of an attack may go on from there, into another stream and, by what
// that confirms, to a third place, so they are sent once for each.
func (v *victim) settle() {
	v.t.Helper()
	flush(v.t, v.a.Conn)
	for range 3 {
		v.answers()
		v.served()
		v.delivered()
		v.mark()
	}
}

// mark writes into every stream, behind all that was written to it, and hears of it behind all that the stream has sent.
func (v *victim) mark() {
	v.t.Helper()
	var stored []jetstream.PubAckFuture
	for s := range v.js.ListStreams(v.t.Context()).Info() {
		v.markers++
		f, err := v.js.PublishAsync(strings.ReplaceAll(s.Config.Subjects[0], ">", fmt.Sprint("marker.", v.markers)), nil)
		if err != nil {
			v.t.Fatal(err)
		}
		stored = append(stored, f)
	}
	for _, f := range stored {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			v.t.Fatalf("a marker is not stored: %v", err)
		case <-v.t.Context().Done():
			v.t.Fatal("a marker is not stored")
		}
	}
}

// served waits until no request to the API is under way, which are served side by side, and has one answered behind their answers.
func (v *victim) served() {
	v.t.Helper()
	for {
		z, err := v.server.Jsz(nil)
		if err == nil {
			_, err = v.js.AccountInfo(v.t.Context())
		}
		if err != nil {
			v.t.Fatal(err)
		}
		if z.API.Inflight == 0 {
			return
		}
	}
}

// delivered waits until the attacker's consumers have delivered what they will: one that pushes has nothing left or nobody to push it to, one
// that is asked has answered whoever asked after the attacker.
func (v *victim) delivered() {
	v.t.Helper()
	ctx := v.t.Context()
	for _, from := range sources {
		s, err := v.js.Stream(ctx, from[0])
		if err != nil {
			v.t.Fatal(err)
		}
		for name := range s.ConsumerNames(ctx).Name() {
			switch {
			case strings.HasPrefix(name, "pusher"):
				v.pushed(s, name)
			case strings.HasPrefix(name, "puller"):
				c, err := s.Consumer(ctx, name)
				if errors.Is(err, jetstream.ErrConsumerNotFound) { // nobody asks it any more
					continue
				}
				if err != nil {
					v.t.Fatal(err)
				}
				b, err := c.FetchNoWait(1)
				if err != nil {
					v.t.Fatal(err)
				}
				for range b.Messages() { //nolint:revive // until the answer has come
				}
			}
		}
	}
}

func (v *victim) pushed(s jetstream.Stream, name string) {
	v.t.Helper()
	for {
		c, err := s.PushConsumer(v.t.Context(), name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) { // nobody listens to it any more
			return
		}
		if err != nil {
			v.t.Fatal(err)
		}
		if i := c.CachedInfo(); !i.PushBound || i.NumPending == 0 {
			return
		}
	}
}

// listen subscribes to whatever it may.
func (a *attacker) listen(t *testing.T) {
	t.Helper()
	a.heard = make(chan *nats.Msg, 1<<16)
	for _, s := range []string{">", "_INBOX.>", "_INBOX.*.*", "_R_.>", "belay.>", "belay.people", "$KV.>", "$JS.>"} {
		if _, err := a.ChanSubscribe(s, a.heard); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, a.Conn)
}

// read takes in what the server has sent up to now.
func (a *attacker) read(t *testing.T) {
	t.Helper()
	flush(t, a.Conn)
	for {
		select {
		case m := <-a.heard:
			a.texts = append(a.texts, string(m.Data))
		default:
			return
		}
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
	desk := dial(t, s, "desk")
	worked := besiege(victimOf(t, s.Server, admin), dial(t, s, string(role)), desk, answering(t, dial(t, s, "dispatcher"), desk))
	for _, x := range worked {
		if !slices.Contains(itsWork[role], x) {
			t.Errorf("a %s %s", role, x)
		}
	}
	t.Logf("%d attacks, %d refused; what worked: %s", len(all), len(all)-len(worked), strings.Join(worked, "; "))
}

func victimOf(t *testing.T, s *server.Server, admin *nats.Conn) *victim {
	t.Helper()
	js, err := jetstream.New(admin)
	if err != nil {
		t.Fatal(err)
	}
	return &victim{t: t, js: js, server: s}
}

// answering has a dispatcher answer somebody, over a subject of its own.
func answering(t *testing.T, dispatcher, desk *nats.Conn) func() *nats.Conn {
	t.Helper()
	if _, err := dispatcher.QueueSubscribe("belay.people", "q", func(m *nats.Msg) { _ = m.Respond([]byte("an answer for somebody else")) }); err != nil {
		t.Fatal(err)
	}
	flush(t, dispatcher)
	return func() *nats.Conn {
		t.Helper()
		if m, err := desk.Request("belay.people", nil, 30*time.Second); err != nil || string(m.Data) != "an answer for somebody else" {
			t.Fatalf("%v", err)
		}
		return dispatcher
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
	admin, desk := plain(), plain()
	prepare(t, bus.Options{Server: s.ClientURL()}, admin)
	worked := besiege(victimOf(t, s, admin), plain(), desk, answering(t, plain(), desk))
	for _, x := range all {
		if !slices.Contains(worked, x.name) {
			t.Errorf("without permissions it does not work either: %s", x.name)
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
	evil := dial(t, at, "submitter")
	v := victimOf(t, s, admin)
	v.a, v.answers = &attacker{Conn: evil, inbox: evil.NewInbox()}, func() {}
	for _, try := range slices.Concat(carries("$KV.BELAY_ACCESS.token.carried"), byReply("empty", "", "$JS.API.STREAM.DELETE.BELAY_AUDIT")) {
		try(v.a)
		v.settle()
	}
	if !v.has("KV_BELAY_ACCESS", "$KV.BELAY_ACCESS.token.carried") || v.info("BELAY_AUDIT") != nil {
		t.Error("the server does not carry replies everywhere any more: permissions in one account may do now")
	}
}

// TestWidenedPermissions: where a role may do more than it should, the attacks find exactly that. The permissions are those of the layout and
// some more for one user, as an import of its account.
func TestWidenedPermissions(t *testing.T) {
	t.Parallel()
	for role, more := range map[rights.Role]map[string]string{ // what it may do as well, and the attack that finds it
		rights.Worker: {
			"belay.runs.*.*.decision":                "decides",
			"belay.steps.>":                          "queues a step",
			"$JS.API.STREAM.MSG.DELETE.BELAY_RUNS_1": "removes an entry",
		},
		rights.Submitter: {
			"belay.runs.*.*.plan":                    "starts a run by itself; cancels somebody's run",
			"$JS.API.STREAM.MSG.GET.KV_BELAY_ACCESS": "reads what is known of tokens",
			"$JS.API.STREAM.PURGE.BELAY_RUNS_0":      "purges the log",
		},
		rights.Desk: {
			"$KV.BELAY_ACCESS.>":                 "writes an admin's token",
			"$JS.API.STREAM.UPDATE.BELAY_RUNS_1": "changes a stream",
			"belay.audit.>":                      "writes the audit trail",
		},
		rights.Reader: {
			"$JS.API.STREAM.DELETE.BELAY_AUDIT": "deletes the audit trail",
			"$KV.BELAY_GATES.>":                 "opens a gate",
			"belay.escalations.>":               "takes an escalation's place",
		},
	} {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			subjects, want := slices.Collect(maps.Keys(more)), slices.Clone(itsWork[role])
			for _, found := range more {
				want = append(want, strings.Split(found, "; ")...)
			}
			s := startWider(t, role, subjects)
			admin, desk := dial(t, s, "provisioner"), dial(t, s, "desk")
			prepare(t, as(s, "dispatcher", &complaints{}), admin)
			worked := besiege(victimOf(t, s.Server, admin), dial(t, s, string(role)), desk, answering(t, dial(t, s, "dispatcher"), desk))
			slices.Sort(want)
			if slices.Sort(worked); !slices.Equal(worked, want) {
				t.Errorf("found %q, want %q", worked, want)
			}
		})
	}
}
