// Command grants is a payment service that refuses what nobody has approved, whoever asks. verify.go is all that a service needs of
// Belay; verify.py and verify.mjs are the same in Python and TypeScript, and service.py and service.mjs the same service.
//
//	dispatcher keys export > keys.txt
//	go run ./examples/grants -keys keys.txt -listen 127.0.0.1:8392
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

func main() {
	file := flag.String("keys", "keys.txt", "what `dispatcher keys export` prints")
	listen := flag.String("listen", "127.0.0.1:8392", "address")
	flag.Parse()
	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", l.Addr())
	log.Fatal(http.Serve(l, &service{keys: publicKeys(text), done: map[string]bool{}}))
}

// publicKeys reads lines of an id, a space and a key.
func publicKeys(text []byte) map[string]ed25519.PublicKey {
	keys := map[string]ed25519.PublicKey{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		id, key, _ := strings.Cut(lines.Text(), " ")
		raw, err := base64.StdEncoding.DecodeString(key)
		if id, is := strings.CutPrefix(id, "belay-"); is && err == nil && len(raw) == ed25519.PublicKeySize {
			keys[id] = raw
		}
	}
	return keys
}

type service struct {
	keys map[string]ed25519.PublicKey
	mu   sync.Mutex
	done map[string]bool // what was paid, by idempotency key
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	by, err := approved(r.Header.Get("Belay-Grant"), body, "payments.refund", key, s.keys)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	var refund struct {
		Order  string
		Amount json.Number
	}
	if err := json.Unmarshal(body, &refund); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done[key] { // an approval is of one key, so once for each key is once for each approval
		s.done[key] = true
		fmt.Println("paid", refund.Amount, "for", refund.Order, "approved by", len(by))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"paid": refund.Amount})
}
