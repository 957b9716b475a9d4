package bus

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus/embedded"
)

// TestANewLeaderIsPulledFromAtOnce plays the leader of a consumer, in a domain in which there is none: it falls silent, nobody answers, and
// then there is another, who is asked within a moment rather than at the next time that silence is noticed.
func TestANewLeaderIsPulledFromAtOnce(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	actor := dial(t, Options{InProcess: s})
	if _, err := actor.nc.Subscribe("$JS.play.API.INFO", func(m *nats.Msg) { _ = m.Respond([]byte("{}")) }); err != nil {
		t.Fatal(err)
	}
	pulls, questions := make(chan *nats.Msg, 100), make(chan *nats.Msg, 100)
	for subject, c := range map[string]chan *nats.Msg{"$JS.play.API.CONSUMER.MSG.NEXT.S.c": pulls, "$JS.play.API.CONSUMER.INFO.S.c": questions} {
		if _, err := actor.nc.ChanSubscribe(subject, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := actor.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	b := dial(t, Options{InProcess: s, Domain: "play"})
	const beat = time.Second
	l, err := b.newPuller("S", "c", pull{Batch: 1, Expires: time.Minute, Heartbeat: beat}, func(*nats.Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.stop)
	began := time.Now()
	<-pulls // the first
	<-pulls // because of the silence
	silence := time.Since(began)
	leaderless := <-questions
	_ = leaderless.Respond([]byte(`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`))
	q := <-questions
	if len(pulls) != 0 {
		t.Error("it pulls where nobody leads")
	}
	began = time.Now()
	_ = q.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.consumer_info_response","name":"c"}`))
	<-pulls
	if after := time.Since(began); after > silence/2 {
		t.Errorf("it pulled %v after there was a leader; silence is noticed after %v", after, silence)
	}
	q = <-questionsAfterSilence(t, pulls, questions)
	_ = q.Respond([]byte(`{"error":{"code":404,"err_code":10014,"description":"consumer not found"}}`))
	<-l.ended
}

// questionsAfterSilence waits for the next time that silence is noticed, and lets pass what was asked before.
func questionsAfterSilence(t *testing.T, pulls, questions chan *nats.Msg) chan *nats.Msg {
	t.Helper()
	<-pulls
	for len(questions) > 0 {
		<-questions
	}
	return questions
}
