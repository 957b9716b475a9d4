// Command shop is the outside world of the examples: a real HTTP service on the loopback, with the failures of real ones.
// It answers 503 before it succeeds, hangs, asks to wait, refuses bad input, and has real side effects: a refund is a line
// in a file, so anybody can count them.
//
//	go run ./shop [-listen 127.0.0.1:8391] [-ledger FILE]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8391", "address")
	ledger := flag.String("ledger", filepath.Join(os.TempDir(), "belay-shop-ledger.jsonl"), "where side effects are written, a line each")
	flag.Parse()
	s := &shop{ledger: *ledger, seen: map[string]int{}, done: map[string]json.RawMessage{}}
	log.Printf("shop on http://%s, ledger %s", *listen, *ledger)
	log.Fatal(http.ListenAndServe(*listen, s.routes()))
}

// shop counts the calls of every idempotency key, so that it fails in the same way in every run.
type shop struct {
	mu     sync.Mutex
	ledger string
	seen   map[string]int             // calls by path and key
	done   map[string]json.RawMessage // answers by key: a repeated call acts once
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /orders/{id}", s.order)
	mux.HandleFunc("GET /customers/{id}", s.customer)
	mux.HandleFunc("GET /stock/{sku}", s.stock)
	mux.HandleFunc("GET /warehouse/{sku}", s.warehouse)
	mux.HandleFunc("GET /carrier/{zip}", s.carrier)
	mux.HandleFunc("GET /recommendations/{customer}", s.recommendations)
	mux.HandleFunc("POST /reservations", s.act("reserved", accept))
	mux.HandleFunc("POST /reservations/undo", s.act("reservation undone", accept))
	mux.HandleFunc("POST /charges", s.act("charged", accept))
	mux.HandleFunc("POST /charges/undo", s.act("charge undone", accept))
	mux.HandleFunc("POST /refunds", s.act("refunded", accept))
	mux.HandleFunc("POST /messages", s.act("message sent", accept))
	mux.HandleFunc("POST /shipments", s.act("shipped", checkAddress))
	return mux
}

var orders = map[string]map[string]any{
	"A-1009": {"id": "A-1009", "customer": "ann", "paid": true, "amount": 120, "items": []string{"lamp", "desk", "chair"}},
	"A-1010": {"id": "A-1010", "customer": "bo", "paid": false, "amount": 35, "items": []string{"lamp"}},
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	o, ok := orders[r.PathValue("id")]
	if !ok {
		fail(w, http.StatusNotFound, "no order "+r.PathValue("id"))
		return
	}
	answer(w, o)
}

func (s *shop) customer(w http.ResponseWriter, r *http.Request) {
	answer(w, map[string]any{"id": r.PathValue("id"), "tier": "gold", "language": "en"})
}

// stock is overloaded for the first two calls of every key.
func (s *shop) stock(w http.ResponseWriter, r *http.Request) {
	if n := s.count(r); n <= 2 {
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("overloaded (call %d)", n))
		return
	}
	answer(w, map[string]any{"sku": r.PathValue("sku"), "left": 7})
}

// warehouse hangs on the first call of every key, until the caller gives up.
func (s *shop) warehouse(w http.ResponseWriter, r *http.Request) {
	if s.count(r) == 1 {
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
		return
	}
	answer(w, map[string]any{"sku": r.PathValue("sku"), "shelf": "C4"})
}

// carrier asks the first call of every key to retry in a second.
func (s *shop) carrier(w http.ResponseWriter, r *http.Request) {
	if s.count(r) == 1 {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "slow down")
		return
	}
	answer(w, map[string]any{"zip": r.PathValue("zip"), "days": 2})
}

// recommendations is always broken.
func (s *shop) recommendations(w http.ResponseWriter, _ *http.Request) {
	fail(w, http.StatusInternalServerError, "the model is not loaded")
}

// act makes a handler with a side effect: one line in the ledger for every idempotency key, however often it is called.
func (s *shop) act(what string, check func(map[string]any) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var params map[string]any
		if err := json.NewDecoder(r.Body).Decode(&params); err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		if err := check(params); err != nil {
			fail(w, http.StatusUnprocessableEntity, err.Error())
			return
		}
		out, err := s.once(r.Header.Get("Idempotency-Key"), what, params)
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out)
	}
}

func (s *shop) once(key, what string, params map[string]any) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if out, ok := s.done[key]; ok && key != "" {
		return out, nil
	}
	line, err := json.Marshal(map[string]any{"at": time.Now().UTC(), "what": what, "key": key, "params": params})
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	out, err := json.Marshal(map[string]any{"id": fmt.Sprintf("%s-%d", what[:1], len(s.done)+1), "what": what})
	s.done[key] = out
	return out, err
}

func (s *shop) count(r *http.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := r.URL.Path + " " + r.Header.Get("Idempotency-Key")
	s.seen[k]++
	return s.seen[k]
}

func accept(map[string]any) error { return nil }

func checkAddress(params map[string]any) error {
	if zip, _ := params["zip"].(string); len(zip) != 5 {
		return fmt.Errorf("zip %q must have five digits", zip)
	}
	return nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": msg})
}
