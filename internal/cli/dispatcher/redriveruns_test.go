package dispatcher

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"belay/internal/bus"
	"belay/internal/people"
)

// TestWhoMayNotWriteTheTrailIsToldWhatToDo, and whoever may is told what went wrong alone.
func TestWhoMayNotWriteTheTrailIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	err := unrecorded(people.Cancel, fmt.Errorf("audit trail: %w", bus.ErrDenied))
	if !errors.Is(err, bus.ErrDenied) || !strings.Contains(err.Error(), "POST /api/v1/runs/cancel") || !strings.Contains(err.Error(), "runs cancel ID") {
		t.Error(err)
	}
	err = unrecorded(people.Retry, fmt.Errorf("audit trail: %w", bus.ErrFull))
	if !errors.Is(err, bus.ErrFull) || strings.Contains(err.Error(), "POST") || !strings.HasPrefix(err.Error(), "nothing was done") {
		t.Error(err)
	}
}
