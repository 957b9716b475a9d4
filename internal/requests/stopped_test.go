package requests

import (
	"errors"
	"fmt"
	"testing"

	"belay/internal/runlog"
)

// TestWhoHasStoppedItIsKnownElsewhere: the program that asked a dispatcher tells it from its own mistakes.
func TestWhoHasStoppedItIsKnownElsewhere(t *testing.T) {
	t.Parallel()
	said := fmt.Errorf("%w by bo", runlog.ErrStopped)
	if got := failureOf(said).err(); !errors.Is(got, runlog.ErrStopped) || got.Error() != said.Error() {
		t.Errorf("%v, want %v", got, said)
	}
}
