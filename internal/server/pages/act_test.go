package pages

import (
	"net/http"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// TestTooLate: who decides about what has run out is told so, and where the same is asked again.
func TestTooLate(t *testing.T) {
	t.Parallel()
	v := formView{}
	c := &Console{o: Options{Now: func() time.Time { return time.Unix(100, 0) }}}
	status := v.failed(&handoff.DecidedBefore{State: steps.EscalationExpired, At: time.Unix(50, 0), Next: "run-2", Text: "too late: nobody had decided"}, c)
	if status != http.StatusPreconditionFailed || v.Conflict.Words != "Too late: nobody had decided." || v.Conflict.Next != "/e/run-2" {
		t.Errorf("%d %+v", status, v.Conflict)
	}
}
