package pages_test

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

	"belay/internal/people"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
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
func listen(ctx context.Context, w *pagestest.World, lastID string) (r *reader, ended chan struct{}) {
	c := pages.New(pages.Options{Desk: w, Runs: w, Tools: w.Tools, Workers: w.Workers, Examine: w.Examine, Gates: w, Schedules: w, Score: w, Changes: &w.Changes, Who: func(*http.Request) people.Actor { return people.Actor{} }, Now: time.Now})
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
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := pagestest.Empty(time.Now)
		r, _ := listen(t.Context(), w, "")
		synctest.Wait()
		if got := r.take(); got != "retry: 2000\nid: 1\n\n" {
			t.Fatalf("at first %q", got)
		}
		for range 10 { // many changes within a second are one event
			w.Changes.Tell(pages.Change{Kind: pages.ItemChanged, ID: "<script>\n"})
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.take(); got != "id: 2\nevent: item\ndata: changed\n\n" {
			t.Errorf("after changes of items %q", got)
		}
		w.Changes.Tell(pages.Change{Kind: pages.RunChanged, ID: "r"})
		w.Changes.Tell(pages.Change{Kind: pages.ItemChanged, ID: "i"})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.take(); got != "id: 3\nevent: item\ndata: changed\n\nid: 4\nevent: run\ndata: changed\n\n" {
			t.Errorf("after both %q", got)
		}
	})
}

func TestEventsShowThatTheyLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := listen(t.Context(), pagestest.Empty(time.Now), "")
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
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := listen(t.Context(), pagestest.Empty(time.Now), "7")
		synctest.Wait()
		if got := r.take(); got != "retry: 2000\nid: 7\n\nid: 8\nevent: item\ndata: changed\n\nid: 9\nevent: run\ndata: changed\n\nid: 10\nevent: redrive\ndata: changed\n\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestASlowReaderIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := pagestest.Empty(time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		r, ended := listen(ctx, w, "")
		synctest.Wait()
		r.mu.Lock()
		r.broken = true
		r.mu.Unlock()
		w.Changes.Tell(pages.Change{Kind: pages.ItemChanged, ID: "i"})
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
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := pagestest.Empty(time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		_, ended := listen(ctx, w, "")
		synctest.Wait()
		if w.Changes.Listeners() != 1 {
			t.Fatalf("%d listeners", w.Changes.Listeners())
		}
		cancel()
		<-ended
		synctest.Wait()
		if w.Changes.Listeners() != 0 {
			t.Errorf("%d listeners are left", w.Changes.Listeners())
		}
	})
}

func TestTrendsAreWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := pagestest.Morning(time.Now)
		c := pages.New(pages.Options{Desk: w, Runs: w, Tools: w.Tools, Workers: w.Workers, Examine: w.Examine, Gates: w, Schedules: w, Score: w, Changes: &w.Changes, Who: func(*http.Request) people.Actor { return people.Actor{} }, Now: time.Now})
		page := func() string {
			rec := httptest.NewRecorder()
			c.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/trends", nil))
			return rec.Body.String()
		}
		if !strings.Contains(page(), "Nothing has been counted yet.") {
			t.Error("something is counted before anybody looked")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go c.Watch(ctx)
		time.Sleep(time.Second)
		if _, err := w.Act(ctx, pagestest.Approver("mia"), pagestest.Refund, people.Act{Verb: "reject"}); err != nil {
			t.Error(err)
		}
		w.Break(errors.New("away")) // a look that fails is left out
		time.Sleep(15 * time.Second)
		w.Break(nil)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := page(); !strings.Contains(got, "<h2>Closed</h2><p class=\"big\">1</p>") || !strings.Contains(got, "11m 30s") {
			t.Errorf("%s", got)
		}
		cancel()
	})
}

// TestSlowPagesLoseTheirChannel: one that does not read is not waited for, and nobody else loses anything by it.
func TestSlowPagesLoseTheirChannel(t *testing.T) {
	t.Parallel()
	var c pages.Changes
	slow, quick := c.Subscribe(t.Context()), c.Subscribe(t.Context())
	told := 0
	for range 1000 {
		c.Tell(pages.Change{Kind: pages.RunChanged, ID: "x"})
		<-quick
		told++
	}
	for range slow { // it ends: the channel was closed
	}
	if told != 1000 || c.Listeners() != 1 {
		t.Errorf("the quick one heard %d of 1000 changes, and %d pages are open", told, c.Listeners())
	}
}
