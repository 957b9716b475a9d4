package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/access"
	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/doctor"
	"belay/internal/passkey"
	"belay/internal/passkey/passkeytest"
	"belay/internal/people"
	"belay/internal/schedules"
	"belay/internal/steps"
)

// finding is the one finding of a check; of several the worst is first.
func finding(t *testing.T, r doctor.Report, check string) doctor.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("nothing was found about %s: %+v", check, r.Findings)
	return doctor.Finding{}
}

// wants checks what was found, and that it is said what to do where something is wrong.
func wants(t *testing.T, r doctor.Report, check string, s doctor.State, words ...string) {
	t.Helper()
	f := finding(t, r, check)
	if f.State != s || s != doctor.OK && f.Do == "" {
		t.Errorf("%+v, want %s, with what to do", f, s)
	}
	for _, w := range words {
		if !strings.Contains(f.Seen+" -> "+f.Do, w) {
			t.Errorf("%s does not say %q: %+v", check, w, f)
		}
	}
}

// whole is a bus on which everything is as it should be, and who runs there.
func whole(t *testing.T) (*bus.Bus, doctor.Options) {
	t.Helper()
	b := bustest.Start(t, 2)
	signer, err := approval.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.PublishTo(t.Context(), approval.NewPublished(b)); err != nil {
		t.Fatal(err)
	}
	announceDispatcher(t, b, "1.0.0", bus.Dispatcher{Name: "d1", Sync: "fsync"})
	announceWorker(t, b, "1.0.0", "w1")
	return b, doctor.Options{Bus: b, Version: "1.0.0", Serves: []string{"pay/primary"}, File: "tools.yaml"}
}

func announceDispatcher(t *testing.T, b *bus.Bus, version string, d bus.Dispatcher) {
	t.Helper()
	gone, err := bus.AnnounceDispatcher(b, version, func() bus.Dispatcher { return d })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gone)
}

func announceWorker(t *testing.T, b *bus.Bus, version, name string) {
	t.Helper()
	gone, err := bus.AnnounceWorker(b, version, func() bus.Worker { return bus.Worker{Name: name, Serves: []string{"pay/primary"}, Concurrency: 1} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gone)
}

func TestEverythingIsAsItShouldBe(t *testing.T) {
	t.Parallel()
	b, o := whole(t)
	before := stored(t, b)
	r := doctor.Examine(t.Context(), o)
	for _, f := range r.Findings {
		if f.State != doctor.OK && f.Check != "log" && f.Check != "account" { // nobody keeps a tally here, and the bus has no address
			t.Errorf("%+v", f)
		}
	}
	wants(t, r, "sync", doctor.OK, "d1 syncs")
	wants(t, r, "clock", doctor.OK, "±")
	wants(t, r, "versions", doctor.OK, "1.0.0")
	wants(t, r, "account", doctor.Warn, "delete streams", "an account of its own")
	if after := stored(t, b); after != before {
		t.Errorf("it changed what is stored: %s, and before %s", after, before)
	}
}

// stored is how many messages each stream has had.
func stored(t *testing.T, b *bus.Bus) (all string) {
	t.Helper()
	list := b.JetStream().ListStreams(t.Context())
	for s := range list.Info() {
		all += fmt.Sprintln(s.Config.Name, s.State.LastSeq, s.State.Consumers)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func alter(t *testing.T, b *bus.Bus, name string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	change(&c)
	if _, err := b.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestEachThingThatIsBrokenIsNamed, one world for each.
func TestEachThingThatIsBrokenIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check string
		state doctor.State
		words []string
		spoil func(t *testing.T, b *bus.Bus, o *doctor.Options)
	}{
		"a maximum age": {"settings", doctor.Fail, []string{"BELAY_RUNS_1: max_age is 1h0m0s", "nats stream edit"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			alter(t, b, b.Names().RunsStream(1), func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour })
		}},
		"a setting that costs time": {"settings", doctor.Warn, []string{"allow_direct"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			alter(t, b, b.Names().RunsStream(1), func(c *jetstream.StreamConfig) { c.AllowDirect = false })
		}},
		"partitions": {"partitions", doctor.Fail, []string{"is 7, Belay needs 2"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			alter(t, b, b.Names().AuditStream(), func(c *jetstream.StreamConfig) { c.Metadata["belay-partitions"] = "7" })
		}},
		"a stream is gone": {"streams", doctor.Fail, []string{"BELAY_TIMERS"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			if err := b.JetStream().DeleteStream(t.Context(), b.Names().TimersStream()); err != nil {
				t.Fatal(err)
			}
		}},
		"the queue is gone": {"streams", doctor.Warn, []string{"step queue"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			if err := b.JetStream().DeleteStream(t.Context(), b.Names().StepsStream()); err != nil {
				t.Fatal(err)
			}
		}},
		"a consumer is paused": {"settings", doctor.Fail, []string{"paused", "nats consumer resume"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			if _, err := b.JetStream().PauseConsumer(t.Context(), b.Names().RunsStream(0), "dispatcher", time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}},
		"no room": {"room", doctor.Fail, []string{"bytes of BELAY_RUNS_0"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(0), bus.Message{Subject: b.Names().Log(0, "r", "outcome"), Data: make([]byte, 2000)}); err != nil {
				t.Fatal(err)
			}
			alter(t, b, b.Names().RunsStream(0), func(c *jetstream.StreamConfig) { c.MaxBytes = 2048 })
		}},
		"keys are revoked": {"keys", doctor.Warn, []string{"no signing key counts (1 are revoked)", "keys rotate"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			keys := approval.NewPublished(b)
			all, err := keys.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.Revoke(t.Context(), all[0].ID); err != nil {
				t.Fatal(err)
			}
		}},
		"a key that a worker refuses": {"keys", doctor.Fail, []string{"evil", "w2", "keys vouch", "keys revoke"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			evil, err := approval.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			k, err := evil.PublishTo(t.Context(), approval.NewPublished(b))
			if err != nil {
				t.Fatal(err)
			}
			gone, err := bus.AnnounceWorker(b, "1.0.0", func() bus.Worker {
				return bus.Worker{Name: "w2", Serves: []string{"pay/primary"}, Foreign: []bus.ForeignKey{{ID: k.ID, Host: "evil"}}}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(gone)
		}},
		"a rung that nobody serves": {"workers", doctor.Warn, []string{"ship/primary", "tools.yaml"}, func(_ *testing.T, _ *bus.Bus, o *doctor.Options) {
			o.Serves = append(o.Serves, "ship/primary")
		}},
		"steps that wait for a worker": {"workers", doctor.Fail, []string{"2 steps wait of mail/primary"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) {
			announceDispatcher(t, b, "1.0.0", bus.Dispatcher{Name: "d2", Unserved: []bus.Unserved{{Tool: "mail", Rung: "primary", Steps: 2, Since: time.Now()}}})
		}},
		"an older worker": {"versions", doctor.Warn, []string{"0.9.0: w2", "finish the upgrade"}, func(t *testing.T, b *bus.Bus, _ *doctor.Options) { announceWorker(t, b, "0.9.0", "w2") }},
		"a channel that does not answer": {"channel chat", doctor.Fail, []string{"refused", "notify test chat"}, func(_ *testing.T, _ *bus.Bus, o *doctor.Options) {
			o.Channels = []doctor.Channel{{Name: "chat", Reach: func(context.Context) (string, error) { return "", errors.New("refused") }}}
		}},
		"a server that does not sync": {"sync", doctor.Fail, []string{"n1 syncs every 2m0s", "sync_interval: always"}, func(t *testing.T, _ *bus.Bus, o *doctor.Options) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"server_name":"n1","jetstream":{"config":{"sync_interval":120000000000}}}`))
			}))
			t.Cleanup(s.Close)
			o.Monitors = []string{s.URL}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, o := whole(t)
			c.spoil(t, b, &o)
			wants(t, doctor.Examine(t.Context(), o), c.check, c.state, c.words...)
		})
	}
}

// TestSomebodyMustHaveAPasskey where a tool takes no approval without one; one that was removed is none.
func TestSomebodyMustHaveAPasskey(t *testing.T) {
	t.Parallel()
	b, o := whole(t)
	for _, f := range doctor.Examine(t.Context(), o).Findings {
		if f.Check == "passkeys" {
			t.Errorf("no tool asks for one: %+v", f)
		}
	}
	o.Asks = "pay"
	wants(t, doctor.Examine(t.Context(), o), "passkeys", doctor.Warn, "pay takes no approval without a passkey (tools.yaml), and nobody has one registered", "dispatcher passkeys export")
	keys, k := passkey.NewRegistry(b), passkeytest.New(t, "http://localhost:8222").Passkey(t, "mia")
	if err := keys.Add(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	wants(t, doctor.Examine(t.Context(), o), "passkeys", doctor.OK, "1 passkey of 1 person")
	if _, err := keys.Remove(t.Context(), k.ID, "ada"); err != nil {
		t.Fatal(err)
	}
	wants(t, doctor.Examine(t.Context(), o), "passkeys", doctor.Warn, "nobody has one registered")
}

func TestNothingIsSetUp(t *testing.T) {
	t.Parallel()
	r := doctor.Examine(t.Context(), doctor.Options{Bus: bustest.Connect(t), Version: "1.0.0"})
	wants(t, r, "streams", doctor.Fail, "there are none", "dispatcher serve")
	wants(t, r, "dispatchers", doctor.Fail, "no run moves on")
	wants(t, r, "sync", doctor.Unknown, "--monitor")
	if r.State != doctor.Fail {
		t.Errorf("%s", r.State)
	}
}

// TestWhatAConnectionMayDo is found out without doing it, and without a log line of the server's refusals here.
func TestWhatAConnectionMayDo(t *testing.T) {
	t.Parallel()
	worker := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"belay.runs.>", "$JS.API.STREAM.INFO.>", "$JS.API.INFO", "$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.>", "$JS.ACK.>", "$SRV.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{">"}},
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{{Username: "all", Password: "x"}, {Username: "worker", Password: "x", Permissions: worker}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	connect := func(user string) *bus.Bus {
		t.Helper()
		b, err := bus.Connect(t.Context(), bus.Options{Server: s.ClientURL(), User: user, Password: "x"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	if err := connect("all").Setup(t.Context(), bus.SetupOptions{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	wants(t, doctor.Examine(t.Context(), doctor.Options{Bus: connect("all")}), "account", doctor.Warn, "user all, account $G", "may also delete streams; change streams", "dispatcher permissions")
	f := finding(t, doctor.Examine(t.Context(), doctor.Options{Bus: connect("worker")}), "permissions")
	may, not, _ := strings.Cut(f.Seen, "; it may not ")
	for _, right := range []string{bus.RightRead, bus.RightLog, bus.RightConsume, bus.RightWork} {
		if !strings.Contains(may, right) {
			t.Errorf("it may %s: %s", right, f.Seen)
		}
	}
	for _, right := range []string{bus.RightStreams, bus.RightKeys, bus.RightTokens, bus.RightQueue, bus.RightAudit, bus.RightQuestion} {
		if !strings.Contains(not, right) {
			t.Errorf("it may not %s: %s", right, f.Seen)
		}
	}
	if f.State != doctor.OK {
		t.Errorf("%+v", f)
	}
}

// TestSomebodyMustAnswerForASchedule that was added with a token which is revoked.
func TestSomebodyMustAnswerForASchedule(t *testing.T) {
	t.Parallel()
	b, o := whole(t)
	tokens, err := access.OpenTokens(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	_, made, err := tokens.Make(t.Context(), access.Token{Name: "ci", Owner: "mia", Role: people.Admin, By: "root"}, b.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := schedules.Of(b).Add(t.Context(), schedules.Schedule{Name: "nightly", Plan: "p", By: "mia", Cron: "@daily"}, steps.Submitted{Document: []byte(`{}`), Token: made.ID}, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range doctor.Examine(t.Context(), o).Findings {
		if f.Check == "schedules" {
			t.Errorf("%+v", f)
		}
	}
	if err := tokens.Revoke(t.Context(), made.ID, b.Now()); err != nil {
		t.Fatal(err)
	}
	o.LeftBehind = func(ctx context.Context, b *bus.Bus) ([]string, error) {
		return schedules.LeftBehind(ctx, b, access.Ended)
	}
	wants(t, doctor.Examine(t.Context(), o), "schedules", doctor.Warn, "1 schedule was added", "nightly (of mia)", "schedules pause")
}
