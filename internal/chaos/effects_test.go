package chaos

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is the outside world: a real HTTP server that counts what is really done to it, by idempotency key. What the
// engine says of itself is not asked.
type world struct {
	*httptest.Server
	mu      sync.Mutex
	effects map[string]map[string]int // by path, by key
	last    time.Time                 // of them all
	silence time.Duration             // the longest between two of them since quiet was asked
}

func newWorld(t *testing.T) *world {
	w := &world{effects: map[string]map[string]int{"/pay": {}, "/flaky": {}}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.CloseClientConnections)
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	n := w.count(r.URL.Path, r.Header.Get("Idempotency-Key"))
	// Most kills are to find something in the middle of being done.
	select {
	case <-time.After(time.Duration(rand.IntN(300)) * time.Millisecond):
	case <-r.Context().Done():
		return
	}
	if r.URL.Path == "/flaky" && n == 1 {
		rw.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(rw, `{"ok":true}`)
}

func (w *world) count(path, key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.effects[path] == nil {
		w.effects[path] = map[string]int{}
	}
	w.effects[path][key]++
	w.hear()
	return w.effects[path][key]
}

// hear notes that something is done now; w.mu is held.
func (w *world) hear() {
	now := time.Now()
	if !w.last.IsZero() {
		w.silence = max(w.silence, now.Sub(w.last))
	}
	w.last = now
}

// quiet is the longest time in which nothing was done, since it was last asked.
func (w *world) quiet() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hear()
	longest := w.silence
	w.silence = 0
	return longest
}

// done says how often something was done under a key.
func (w *world) done(path, key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.effects[path][key]
}

// sum is the number of effects on a path, and the keys under which there were more than one.
func (w *world) sum(path string) (all int, twice []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, n := range w.effects[path] {
		all += n
		if n > 1 {
			twice = append(twice, fmt.Sprintf("%s %d times", key, n))
		}
	}
	return all, twice
}

// files are the documents of the chaos runs.
//
// Retry is the longest first wait before a failed step is tried again.
func (w *world) tools(retry string) string {
	return strings.NewReplacer("URL", w.URL, "RETRY", retry).Replace(`
tools:
  flaky: {effects: idempotent, rungs: [{name: primary, http: {method: POST, url: "URL/flaky"}, timeout: 5s, retry: {initial: RETRY, max_attempts: 9}}]}
  pay: {effects: unsafe, timeout: 5m, approval: {when: "params.n % 2 == 0"}, rungs: [{name: primary, http: {method: POST, url: "URL/pay"}, timeout: 5s, retry: {initial: 100ms, max_attempts: 9}}]}
  note: {effects: none, rungs: [{name: primary, command: {argv: [cat]}, timeout: 5s, retry: {initial: 100ms, max_attempts: 9}}]}
`)
}

const planText = `
name: chaos
input: {n: 1}
steps:
  - {id: a, tool: note, with: {n: "${ input.n }"}}
  - {id: b, tool: flaky, with: {n: "${ steps.a.output.n }"}}
  - {id: c, tool: pay, with: {n: "${ input.n }"}}
  - {id: d, tool: flaky, with: {n: "${ input.n }"}}
  - {id: e, tool: note, with: {n: "${ steps.a.output.n }"}}
output: {n: "${ steps.e.output.n }"}
`
