package pages

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	heartbeat  = 15 * time.Second // so that both sides notice a dead connection
	gather     = time.Second      // changes within this time make one event
	writeLimit = 10 * time.Second // a reader who reads nothing for this long is dropped
)

// events streams changes to an open page, as server-sent events named after the kind of the change. An event says only
// that something changed; the page then asks for its news. So many changes can make one event, and none is missed: a
// reader who reconnects gets an event at once.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	out := stream{w: w, control: http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{})
	changes := c.o.Changes.Subscribe(r.Context())
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	out.next, _ = strconv.Atoi(r.Header.Get("Last-Event-ID"))
	back := out.next > 0
	out.next = max(out.next, 1)
	if !out.send(fmt.Sprintf("retry: 2000\nid: %d\n\n", out.next)) {
		return
	}
	if back && !out.tell(map[ChangeKind]bool{ItemChanged: true, RunChanged: true, RedriveChanged: true}) {
		return
	}
	out.pump(r, changes)
}

// stream is one open connection.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	next    int // id of the last event
}

// pump passes changes on until the reader is gone, too slow, or the changes end.
func (s *stream) pump(r *http.Request, changes <-chan Change) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	due := time.NewTimer(gather)
	due.Stop()
	defer due.Stop()
	waiting := map[ChangeKind]bool{}
	for {
		alive := true
		select {
		case <-r.Context().Done():
			return
		case ch, ok := <-changes:
			if !ok {
				return // the page reconnects, and reads everything anew
			}
			if len(waiting) == 0 {
				due.Reset(gather)
			}
			waiting[ch.Kind] = true
		case <-due.C:
			alive = s.tell(waiting)
			clear(waiting)
		case <-beat.C:
			alive = s.send(": alive\n\n")
		}
		if !alive {
			return
		}
	}
}

// tell sends one event for each kind.
func (s *stream) tell(kinds map[ChangeKind]bool) bool {
	for _, k := range []ChangeKind{ItemChanged, RunChanged, RedriveChanged} {
		if !kinds[k] {
			continue
		}
		s.next++
		if !s.send(fmt.Sprintf("id: %d\nevent: %s\ndata: changed\n\n", s.next, k)) {
			return false
		}
	}
	return true
}

func (s *stream) send(text string) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return s.control.Flush() == nil
}
