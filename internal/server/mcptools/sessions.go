package mcptools

import (
	"errors"
	"net/http"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/people"
	"belay/internal/server/gate"
)

// How many sessions one process keeps over HTTP. One that nobody uses is kept for [sessionsFor].
const (
	MostSessions   = 2000 // in all
	MostSessionsOf = 200  // with one token
)

var errTooManySessions = errors.New("too many sessions")

// sessions counts those that are open, by whose token.
type sessions struct {
	open func() []string // their ids

	mu      sync.Mutex
	whose   map[string]string // by id
	opening map[string]int    // by whose
}

func newSessions(of *mcp.Server) *sessions {
	open := func() (ids []string) {
		for s := range of.Sessions() {
			ids = append(ids, s.ID())
		}
		return ids
	}
	return &sessions{open: open, whose: map[string]string{}, opening: map[string]int{}}
}

// enter lets somebody open one more session, unless there are too many. Opened takes its id, empty for none.
func (n *sessions) enter(who string) (opened func(id string), err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all, own := n.count(who)
	if all >= MostSessions || own >= MostSessionsOf {
		return nil, errTooManySessions
	}
	n.opening[who]++
	return func(id string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.opening[who]--; n.opening[who] == 0 {
			delete(n.opening, who)
		}
		if id != "" {
			n.whose[id] = who
		}
	}, nil
}

// count forgets sessions that have ended. The lock is held.
func (n *sessions) count(who string) (all, own int) {
	known := n.whose
	n.whose = make(map[string]string, len(known))
	for _, id := range n.open() {
		of, ours := known[id]
		if !ours {
			continue
		}
		n.whose[id] = of
		if all++; of == who {
			own++
		}
	}
	for of, k := range n.opening {
		if all += k; of == who {
			own += k
		}
	}
	return all, own
}

// bounded refuses to open a session where there are too many.
func (n *sessions) bounded(next http.Handler, who func(*http.Request) people.Actor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Mcp-Session-Id") != "" {
			next.ServeHTTP(w, r)
			return
		}
		opened, err := n.enter(gate.Whose(who(r)))
		if err != nil {
			w.Header().Set("Retry-After", "60")
			gate.Problem(w, http.StatusTooManyRequests, "too_many_sessions", "Too many sessions", "end one that is not needed any more (DELETE), or speak protocol "+sessionless+", which has none")
			return
		}
		a := opensSession{w, sync.OnceFunc(func() { opened(w.Header().Get("Mcp-Session-Id")) })}
		defer a.begins()
		next.ServeHTTP(a, r)
	})
}

// opensSession says when an answer begins: whoever has got it may end the session before the handler has returned.
type opensSession struct {
	http.ResponseWriter
	begins func()
}

func (a opensSession) WriteHeader(status int) {
	a.begins()
	a.ResponseWriter.WriteHeader(status)
}

func (a opensSession) Write(b []byte) (int, error) {
	a.begins()
	return a.ResponseWriter.Write(b)
}

// Unwrap lets an [http.ResponseController] flush.
func (a opensSession) Unwrap() http.ResponseWriter { return a.ResponseWriter }
