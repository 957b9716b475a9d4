package runlog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// submitReported submits a run with the token of w, which listens since somebody has waited for another run.
func submitReported(t *testing.T, l *Log, w *Watch, run string) Known {
	t.Helper()
	s, began := submitted(t), time.Now()
	if s.ReportTo = w.Token(); s.ReportTo == "" {
		t.Fatal("nobody listens")
	}
	submit(t, l, run, s)
	return Known{Exists: true, Since: began, Reported: true}
}

func listening(t *testing.T) (*Log, *Watch, *bus.Bus) {
	t.Helper()
	l, w, b := watching(t)
	if w.Token() != "" {
		t.Error("submissions carry a token before anybody waits")
	}
	submit(t, l, "first", submitted(t))
	finish(t, l, "first")
	if _, err := w.Ended(t.Context(), "first", Known{}); err != nil {
		t.Fatal(err)
	}
	return l, w, b
}

// TestAReportIsEnough: who waits for the end of a run does not read its log when a dispatcher reports it, before the wait or
// in the course of it.
func TestAReportIsEnough(t *testing.T) {
	t.Parallel()
	l, w, b := listening(t)
	for i := range 20 {
		run := fmt.Sprint("r", i)
		known := submitReported(t, l, w, run)
		report := func() {
			doc, err := json.Marshal(view.Document{ID: run, State: steps.RunDegraded}) // the log says nothing of the kind
			if err == nil {
				err = b.Tell(b.Names().Report(w.Token(), run), doc)
			}
			if err != nil {
				t.Error(err)
			}
		}
		done := make(chan struct{})
		if i%2 == 0 {
			report()
			close(done)
		} else {
			go func() { waiters(t, &w.ends, 1); report(); close(done) }()
		}
		if d, err := w.Ended(t.Context(), run, known); err != nil || d.State != steps.RunDegraded || d.ID != run {
			t.Errorf("%+v, %v", d, err)
		}
		<-done
	}
}

// TestAnEndWithoutAReport is found in the log, and once several reports are missing nobody waits for one any more.
func TestAnEndWithoutAReport(t *testing.T) {
	t.Parallel()
	l, w, _ := listening(t)
	ctx, cancel := context.WithTimeout(t.Context(), checkEvery-2*time.Second)
	defer cancel()
	for i := 0; w.ear.patience() > 0 && ctx.Err() == nil; i++ {
		run := fmt.Sprint("r", i)
		known := submitReported(t, l, w, run)
		go func() { waiters(t, &w.ends, 1); finish(t, l, run) }()
		if d, err := w.Ended(ctx, run, known); err != nil || d.State != steps.RunSucceeded || len(d.Steps) != 2 {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if p := w.ear.patience(); p != 0 {
		t.Errorf("a report is still waited for, %s", p)
	}
	w.ear.heard("r", nil)
	if p := w.ear.patience(); p != reportTime {
		t.Errorf("reports come again, and are waited for %s", p)
	}
}

// TestReportsThatNobodyAsksFor do not gather in memory.
func TestReportsThatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	e := newEar(nil, func(string) {})
	doc := bytes.Repeat([]byte(" "), 1<<20)
	for i := range 3 * docsMost / len(doc) {
		e.heard(fmt.Sprint(i), doc)
	}
	if len(e.docs) != docsMost/len(doc) || e.bytes > docsMost {
		t.Errorf("%d documents with %d bytes are kept", len(e.docs), e.bytes)
	}
	for i := range 10_000 {
		e.heard(fmt.Sprint("taken", i), []byte("{}"))
		if _, ok := e.take(fmt.Sprint("taken", i)); !ok {
			t.Fatalf("%d is gone", i)
		}
	}
	if len(e.order) > 2*len(e.docs)+64+1 {
		t.Errorf("%d names for %d documents", len(e.order), len(e.docs))
	}
}

// TestATokenIsAName: who submits cannot have a dispatcher publish on a subject of their choice.
func TestATokenIsAName(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	for token, want := range map[string]string{"me": "me", "": "", "a.b": "", "*": "", ">": "", "a b": ""} {
		m, _, err := l.Message("run", submitted(t))
		if err != nil {
			t.Fatal(err)
		}
		rec, err := l.Record("run", bus.Entry{Seq: 1, Subject: m.Subject, Data: m.Data, Header: map[string][]string{wire.HeaderReportTo: {token}}})
		if err != nil || rec.Event.(steps.Submitted).ReportTo != want {
			t.Errorf("%q: %+v, %v", token, rec.Event, err)
		}
	}
}
