package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// attempt names one execution of one rung.
type attempt struct {
	Step  string `json:"step"`
	Round int    `json:"round"`
	Rung  int    `json:"rung"`
	Try   int    `json:"try"`
}

func (a attempt) token() string { return fmt.Sprintf("%d-%d-%d", a.Round, a.Rung, a.Try) }

// event is the part of a log's event that a worker needs.
type event struct {
	kind string // the rest of its subject
	V    int    `json:"v"`
	Type string `json:"type"`
	attempt
	Worker   string `json:"worker"`
	Delivery string `json:"delivery"`
	Fault    fault  `json:"fault"`
}

// partition is the partition with the log of a run.
func (w *worker) partition(run string) int {
	h := fnv.New32a()
	h.Write([]byte(run))
	return int(h.Sum32() % uint32(w.partitions))
}

func (w *worker) subject(run, kind string) string {
	return logSubject(w.partition(run), run, kind)
}

// history reads the log of a run from its beginning.
func (w *worker) history(ctx context.Context, run string) (all []event, err error) {
	stream, err := w.js.Stream(ctx, logStream(w.partition(run)))
	if err != nil {
		return nil, err
	}
	for seq := uint64(1); ; {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(w.subject(run, ">")))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var e event
		if err := json.Unmarshal(m.Data, &e); err != nil {
			e = event{} // it is about no attempt, or stops the run
		}
		e.kind = strings.TrimPrefix(m.Subject, w.subject(run, ""))
		all, seq = append(all, e), m.Sequence+1
	}
}

type verdict int

const (
	execute       verdict = iota // nobody has begun it, or it may be repeated
	drop                         // it has an outcome, or is not wanted any more: acknowledge
	decline                      // it is not wanted any more, and the log waits to learn that nobody will begin it
	later                        // another worker may be executing it
	reportUnknown                // the worker that claimed it ended without an outcome
	reportCrashed                // it has crashed its worker too often
)

// account is what the log says about an attempt.
type account struct {
	step
	over      bool    // it has an outcome, or is not wanted any more
	cancelled bool    // the run is
	claimed   bool    // by a delivery other than this one
	starts    []event // of its step and round, without an end
}

func (a *account) note(e event) {
	mine := e.attempt == a.attempt
	switch e.Type {
	case "closed":
		a.over = true
	case "succeeded", "failed", "objected", "withdrawn":
		a.over = a.over || mine
		if e.Type != "failed" || e.Fault.Class != "crashed" {
			a.starts = ended(a.starts, e.attempt)
		}
	case "unserved":
		begun := slices.ContainsFunc(a.starts, func(s event) bool { return s.attempt == a.attempt })
		a.over = a.over || mine && !a.step.claimed() && !begun // the run ignores it where a worker had begun it before
	case "claimed":
		a.over = a.over || mine && e.Worker == "" // the dispatcher has withdrawn it
		a.claimed = a.claimed || mine
	case "cancelled":
		a.cancelled = !strings.HasSuffix(a.Step, "~undo")
	case "started":
		if e.Step == a.Step && e.Round == a.Round {
			a.starts = append(a.starts, e)
		}
	case "progress", "resumable":
	default: // what nobody knows, where only workers of the tool write, is an outcome that one of them has spoiled
		a.over = a.over || mine && e.kind == outcomeKind(a.Tool)
	}
}

// judge says what to do with a message that may have been delivered before, given the log of its run.
func judge(log []event, s step, redelivered bool) (verdict, time.Duration) {
	a := account{step: s}
	for _, e := range log {
		a.note(e)
	}
	switch {
	case a.over, a.cancelled && a.claimed:
		return drop, 0
	case a.cancelled:
		return decline, 0
	case a.claimed && !redelivered:
		return later, 0
	case a.claimed && s.unsafe():
		return reportUnknown, 0
	case a.claimed, len(a.starts) >= crashBudget:
		return reportCrashed, 0
	case len(a.starts) > 0:
		return execute, min(time.Second<<len(a.starts), time.Minute) // longer each time
	}
	return execute, 0
}

// ended removes the last start of an attempt that has an end.
func ended(starts []event, a attempt) []event {
	for i, s := range slices.Backward(starts) {
		if s.attempt == a {
			return slices.Delete(starts, i, i+1)
		}
	}
	return starts
}
