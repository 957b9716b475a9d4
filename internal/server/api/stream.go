package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

const (
	heartbeat = 15 * time.Second // between comments, so that proxies keep the connection open
	slowest   = 10 * time.Second // how long one write may take; a slower reader is cut off and can resume
)

// wantsStream reports whether a request is for server-sent events.
func wantsStream(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(r.Header.Get("Accept"), ","), func(kind string) bool {
		kind, _, _ = strings.Cut(kind, ";")
		return strings.EqualFold(strings.TrimSpace(kind), "text/event-stream")
	})
}

// stream sends a run's log after a sequence and then what is appended, until the run has ended: then the last event is
// `end`. If the stream breaks off without it, the caller asks for the rest with the last id that it has.
func (a *api) stream(w http.ResponseWriter, r *http.Request) {
	after, err := afterOf(r)
	run := r.PathValue("id")
	if err == nil {
		_, err = a.Runs.Load(r.Context(), run)
	}
	if err != nil && !errors.Is(err, runlog.ErrFrozen) {
		refuse(w, err)
		return
	}
	leave, err := a.enter(a.Who(r), true)
	if err != nil {
		refuse(w, err)
		return
	}
	defer leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep it back
	w.WriteHeader(http.StatusOK)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	who := a.Who(r)
	s := &stream{api: a, who: who, run: run, last: after, w: w, to: http.NewResponseController(w)}
	_ = s.to.Flush()                               // the caller learns at once that it is let in, however long nothing comes
	_ = s.send(ctx, a.follow(ctx, run), who.Valid) // there is nobody left to tell
}

// afterOf returns the sequence after which a caller wants the log.
func afterOf(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || text != strconv.FormatUint(n, 10) {
		return 0, fault{http.StatusBadRequest, "invalid", "after", "Last-Event-ID and after are the id of an event, a number"}
	}
	return n, nil
}

// follow says when a run's log has something new: nil when it has, and at last, before it is closed, how it ended.
func (a *api) follow(ctx context.Context, run string) <-chan *ending {
	news := make(chan *ending, 1)
	go func() {
		defer close(news)
		end := &ending{}
		end.err = a.Watch.Follow(ctx, run, nil, func(s *steps.State) bool {
			end.state = s.Status()
			select {
			case news <- nil:
			default: // it is known already
			}
			return true
		})
		select {
		case news <- end:
		case <-ctx.Done():
		}
	}()
	return news
}

// ending says how the following of a run ended.
type ending struct {
	state steps.RunState
	err   error // nil: the run has ended, in state
}

// stream is one caller who reads a run's log as it grows. Nothing is buffered for callers: what they have not read yet
// is in the log.
type stream struct {
	*api
	who  people.Actor
	run  string
	last uint64 // sequence of the last entry that was sent
	w    http.ResponseWriter
	to   *http.ResponseController
}

func (s *stream) send(ctx context.Context, news <-chan *ending, valid func() error) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			if valid != nil && valid() != nil {
				return nil // the token was revoked meanwhile
			}
			if err := s.write([]byte(": still here\n\n")); err != nil {
				return err
			}
		case end := <-news:
			if err := s.entries(ctx); err != nil || end == nil {
				if err != nil {
					return err
				}
				continue
			}
			return s.end(end)
		}
	}
}

// entries sends what the log has after the last entry that was sent.
func (s *stream) entries(ctx context.Context) error {
	lines, err := s.Runs.Lines(ctx, s.run, s.last)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, line := range lines {
		b.Reset()
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n", line.Seq, kindOf(line.JSON), shownTo(s.who, line.JSON)) // the line brings its end
		if err := s.write(b.Bytes()); err != nil {
			return err
		}
		s.last = line.Seq
	}
	return nil
}

// End is the last event of a stream: the run has ended.
type End struct {
	ID    string         `json:"id"`    // the run's id
	State steps.RunState `json:"state"` // how it ended
}

// Frozen is the last event of a stream of a run whose log has an entry that cannot be read.
type Frozen struct {
	ID     string `json:"id"`     // the run's id
	Code   string `json:"code"`   // frozen
	Detail string `json:"detail"` // which entry, and why
}

// end says that nothing more comes, and why. A server that drains says nothing, so that the caller asks another one.
func (s *stream) end(end *ending) error {
	switch {
	case end.err == nil:
		return s.finish("end", End{s.run, end.state})
	case errors.Is(end.err, runlog.ErrFrozen):
		return s.finish("frozen", Frozen{s.run, "frozen", end.err.Error()})
	}
	return end.err
}

func (s *stream) finish(event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, text))
}

func (s *stream) write(b []byte) error {
	if err := s.to.SetWriteDeadline(time.Now().Add(slowest)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.to.Flush()
}

// kindOf is the type of the event in a line of the export.
func kindOf(line []byte) string {
	var entry struct {
		Event struct {
			Type string `json:"type"`
		} `json:"event"`
	}
	if exactjson.Unmarshal(line, &entry) != nil || entry.Event.Type == "" || strings.Trim(entry.Event.Type, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "unreadable"
	}
	return entry.Event.Type
}
