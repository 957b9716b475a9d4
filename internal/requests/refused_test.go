package requests

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRefusalsAreCounted: each is counted, and a line is written of each kind once a minute, with how many had none.
func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		got := map[Refusal]int{}
		d := &Desk{Logger: slog.New(slog.NewTextHandler(&log, nil)), Refused: func(k Refusal) { got[k]++ }}
		refuse := func(r Request, why string) { d.refused(r, why, "mia", errors.New("no token")) }
		cancel, submit := Request{Run: "r1", Cancel: &Cancel{}}, Request{Submit: []Start{{Run: "r2"}}}
		lines := func() int { return strings.Count(log.String(), "a request about runs was refused") }
		for range 3 {
			refuse(cancel, Unproven)
		}
		refuse(cancel, Forbidden)
		refuse(submit, Unproven)
		refuse(Request{Run: "r3", Migrate: &Migrate{}}, Forbidden)
		if got[Refusal{"migrate", Forbidden}] != 1 {
			t.Errorf("counted: %v", got)
		}
		if got[Refusal{"cancel", Unproven}] != 3 || got[Refusal{"cancel", Forbidden}] != 1 || got[Refusal{"submit", Unproven}] != 1 {
			t.Errorf("counted: %v", got)
		}
		if lines() != 4 {
			t.Errorf("%d lines of four kinds\n%s", lines(), &log)
		}
		time.Sleep(refusalPause)
		log.Reset()
		refuse(cancel, Unproven)
		if lines() != 1 || !strings.Contains(log.String(), "more_since_last_line=2") {
			t.Errorf("after a minute: %s", &log)
		}
	})
}
