package rights_test

import (
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/rights"
)

// TestAWorkerReadsCheckpointsAndNoRecord: of the audit trail a worker hears what dispatchers announce and reads the newest checkpoint; it
// reads no record, whatever it asks, and announces nothing.
func TestAWorkerReadsCheckpointsAndNoRecord(t *testing.T) {
	t.Parallel()
	for form, start := range map[string]func(testing.TB, rights.Layout) place{"file": startLayout, "JWTs": startJWTs} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			s := start(t, layout)
			connect := func(user string) *bus.Bus {
				t.Helper()
				b, err := bus.Connect(t.Context(), as(s, user, &complaints{}))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(b.Close)
				return b
			}
			dispatcher, worker := connect("dispatcher"), connect("worker")
			if err := dispatcher.Setup(t.Context(), bus.SetupOptions{Partitions: layout.Partitions}); err != nil {
				t.Fatal(err)
			}
			n := dispatcher.Names()
			if _, there, err := worker.LastOn(t.Context(), n.AuditStream(), n.AuditCheckpoint()); err != nil || there {
				t.Fatalf("of an empty trail: %v, %v", there, err)
			}
			for _, subject := range []string{n.AuditCheckpoint(), n.AuditRecord()} {
				if _, err := dispatcher.PublishWait(t.Context(), n.AuditStream(), bus.Message{Subject: subject, Data: []byte("of " + subject)}); err != nil {
					t.Fatal(err)
				}
			}
			if e, there, err := worker.LastOn(t.Context(), n.AuditStream(), n.AuditCheckpoint()); err != nil || !there || string(e.Data) != "of "+n.AuditCheckpoint() {
				t.Errorf("the newest checkpoint: %q, %v, %v", e.Data, there, err)
			}
			if e, there, err := worker.LastOn(t.Context(), n.AuditStream(), n.AuditRecord()); err == nil {
				t.Errorf("a worker reads a record: %q, %v", e.Data, there)
			}
			evil := dial(t, s, "worker") // not by asking first, which the client does, but by trying
			ask := func(call, body string) []byte {
				t.Helper()
				m, err := evil.Request("$JS.BELAY.API."+call, []byte(body), 2*time.Second)
				if err != nil {
					return nil
				}
				return m.Data
			}
			direct := "DIRECT.GET." + n.AuditStream() + "." + n.AuditCheckpoint()
			if got := ask(direct, ""); string(got) != "of "+n.AuditCheckpoint() {
				t.Fatalf("the checkpoint: %q", got)
			}
			for _, body := range []string{`{"last_by_subj":"belay.audit.record"}`, `{"seq":2}`, `{"next_by_subj":"belay.audit.record"}`, `{"multi_last":["belay.audit.>"]}`} {
				if got := ask(direct, body); string(got) == "of "+n.AuditRecord() {
					t.Errorf("%s gives a record", body)
				}
			}
			heard := make(chan string, 10)
			stop, err := worker.Hear(n.Checkpoints(), func(_ string, body []byte) { heard <- string(body) })
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			if err := worker.NATS().Flush(); err != nil {
				t.Fatal(err)
			}
			_ = evil.Publish(n.Checkpoints(), []byte("a lie"))
			if err := evil.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := dispatcher.Tell(n.Checkpoints(), []byte("signed")); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-heard:
				if got != "signed" {
					t.Errorf("a worker announces: %q", got)
				}
			case <-time.After(30 * time.Second):
				t.Error("a worker does not hear what is announced")
			}
		})
	}
}
