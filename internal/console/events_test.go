package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"belay/internal/console"
	"belay/internal/console/consoletest"
	"belay/internal/handoff"
)

// reader is a page that listens. It takes what is sent until it is broken.
type reader struct {
	mu     sync.Mutex
	got    strings.Builder
	header http.Header
	broken bool
}

func (r *reader) Header() http.Header { return r.header }
func (r *reader) WriteHeader(int)     {}
func (r *reader) Flush()              {}

func (r *reader) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return 0, errors.New("too slow")
	}
	return r.got.Write(b)
}

// take gives what came since the last call.
func (r *reader) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.got.Reset()
	return r.got.String()
}

// listen opens the stream of a console; ended is closed when the console ends it.
func listen(ctx context.Context, w *consoletest.World, lastID string) (r *reader, ended chan struct{}) {
	c := console.New(console.Options{Desk: w, Runs: w, Fleet: w, Changes: w, Who: func(*http.Request) console.Person { return console.Person{} }, Now: time.Now})
	r, ended = &reader{header: http.Header{}}, make(chan struct{})
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	go func() {
		defer close(ended)
		c.ServeHTTP(r, req)
	}()
	return r, ended
}

func TestEventsSayThatSomethingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := consoletest.Empty(time.Now)
		r, _ := listen(t.Context(), w, "")
		synctest.Wait()
		if got := r.take(); got != "retry: 2000\nid: 1\n\n" {
			t.Fatalf("at first %q", got)
		}
		for range 10 { // many changes within a second are one event
			w.Tell(console.Change{Kind: console.ItemChanged, ID: "<script>\n"})
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.take(); got != "id: 2\nevent: item\ndata: changed\n\n" {
			t.Errorf("after changes of items %q", got)
		}
		w.Tell(console.Change{Kind: console.RunChanged, ID: "r"})
		w.Tell(console.Change{Kind: console.ItemChanged, ID: "i"})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.take(); got != "id: 3\nevent: item\ndata: changed\n\nid: 4\nevent: run\ndata: changed\n\n" {
			t.Errorf("after both %q", got)
		}
	})
}

func TestEventsShowThatTheyLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := listen(t.Context(), consoletest.Empty(time.Now), "")
		synctest.Wait()
		r.take()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := r.take(); got != ": alive\n\n" {
			t.Errorf("after 15 s %q", got)
		}
	})
}

func TestWhoComesBackIsToldToLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := listen(t.Context(), consoletest.Empty(time.Now), "7")
		synctest.Wait()
		if got := r.take(); got != "retry: 2000\nid: 7\n\nid: 8\nevent: item\ndata: changed\n\nid: 9\nevent: run\ndata: changed\n\nid: 10\nevent: batch\ndata: changed\n\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestASlowReaderIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := consoletest.Empty(time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		r, ended := listen(ctx, w, "")
		synctest.Wait()
		r.mu.Lock()
		r.broken = true
		r.mu.Unlock()
		w.Tell(console.Change{Kind: console.ItemChanged, ID: "i"})
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("the stream goes on")
		}
		cancel()
		synctest.Wait()
	})
}

func TestEventsEndWithTheChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := consoletest.Empty(time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		_, ended := listen(ctx, w, "")
		synctest.Wait()
		if w.Listeners() != 1 {
			t.Fatalf("%d listeners", w.Listeners())
		}
		cancel()
		<-ended
		synctest.Wait()
		if w.Listeners() != 0 {
			t.Errorf("%d listeners are left", w.Listeners())
		}
	})
}

func TestTrendsAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := consoletest.Morning(time.Now)
		c := console.New(console.Options{Desk: w, Runs: w, Fleet: w, Changes: w, Who: func(*http.Request) console.Person { return console.Person{} }, Now: time.Now})
		page := func() string {
			rec := httptest.NewRecorder()
			c.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/trends", nil))
			return rec.Body.String()
		}
		if !strings.Contains(page(), "Nothing is counted yet.") {
			t.Error("something is counted before anybody looked")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go c.Watch(ctx)
		time.Sleep(time.Second)
		if _, err := w.Act(ctx, consoletest.Approver("mia"), consoletest.Refund, handoff.Act{Verb: "reject"}); err != nil {
			t.Error(err)
		}
		w.Break(errors.New("away")) // a look that fails is left out
		time.Sleep(15 * time.Second)
		w.Break(nil)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := page(); !strings.Contains(got, "<h2>Settled</h2><p class=\"big\">1</p>") || !strings.Contains(got, "11m 30s") {
			t.Errorf("%s", got)
		}
		cancel()
	})
}
