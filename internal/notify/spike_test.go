package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"belay/internal/bus/bustest"
	"belay/internal/handoff"
	"belay/internal/outbound"
	"belay/internal/score"
)

// TestASpikeIsNotifiedOnce: two dispatchers notify, and a real sink gets one notice that a spike has begun and one that it is over, also
// across a restart of both.
func TestASpikeIsNotifiedOnce(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	got := make(chan event, 10)
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		got <- e
	}))
	defer sink.Close()
	start := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var dones []chan struct{}
		for range 2 {
			hook, err := newWebhook(sink.URL, "https://belay.example", []string{"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="})
			if err != nil {
				t.Fatal(err)
			}
			hook.through(outbound.Policy{})
			done := make(chan struct{})
			dones = append(dones, done)
			go func() {
				defer close(done)
				if err := Run(ctx, Options{
					Bus: b, Items: func(context.Context) ([]handoff.Item, error) { return nil, nil }, Channels: map[string]Channel{"hook": hook},
					Policy: Policy{Tiers: []Tier{{Name: "ops", Notify: []string{"hook"}}}},
				}); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}()
		}
		return func() {
			cancel()
			for _, d := range dones {
				<-d
			}
		}
	}
	wait := func(kind string) event {
		select {
		case e := <-got:
			if e.Type != kind {
				t.Fatalf("%s, want %s: %+v", e.Type, kind, e)
			}
			return e
		case <-time.After(60 * time.Second):
			t.Fatalf("no %s", kind)
		}
		return event{}
	}
	began := b.Now().UTC()
	s := score.Spike{ID: "jump/pay", Kind: score.Jumped, Tool: "pay", Text: "pay: 60% of its results were not of the first rung", Quote: "no such <!channel>", Since: began}
	if err := score.Keep(t.Context(), b, []score.Spike{s}); err != nil {
		t.Fatal(err)
	}
	stop := start()
	e := wait("dev.belay.spike.begun.v1")
	if !strings.HasPrefix(e.Data.Title, "Spike: pay: 60%") || e.Data.Link != "https://belay.example/how" || e.Data.Tool != "pay" || e.Data.Kind != "jump" || !strings.Contains(e.Data.Text, "no such") {
		t.Errorf("%+v", e.Data)
	}
	stop()
	list, err := score.Spikes(t.Context(), b)
	if err != nil || len(list) != 1 || list[0].Notified != score.NotifiedBegin {
		t.Fatalf("%+v, %v", list, err)
	}
	list[0].Over = began.Add(time.Hour)
	stop = start() // nothing is said once more of its beginning: the next notice is that it is over
	if err := score.Keep(t.Context(), b, list); err != nil {
		t.Fatal(err)
	}
	if e := wait("dev.belay.spike.over.v1"); !strings.HasPrefix(e.Data.Title, "As usual again: pay") {
		t.Errorf("%+v", e.Data)
	}
	stop()
	if list, err = score.Spikes(t.Context(), b); err != nil || len(score.ToNotify(list)) > 0 || list[0].Notified != score.NotifiedOver {
		t.Errorf("%+v, %v", list, err)
	}
	select {
	case e := <-got:
		t.Errorf("one more: %+v", e)
	default:
	}
}
