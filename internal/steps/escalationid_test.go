package steps

import "testing"

func TestEscalationIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		EscalationID("r", 1): "r", EscalationID("019-ab", 12): "019-ab", EscalationID("x-dl7", 2): "x-dl7",
		DeadLetterID("r", 7): "r", DeadLetterID("a-dl3-b", 7): "a-dl3-b", DeadLetterID("r-dl1", 2): "r-dl1",
		"r": "", "r-": "", "-1": "", "r-x": "", "": "", "r-1x": "", "r-dl": "", "r-dlx": "", "-dl5": "",
	} {
		if run, ok := RunOfEscalation(id); ok != (want != "") || run != want {
			t.Errorf("RunOfEscalation(%q) = %q, %v; want %q", id, run, ok, want)
		}
	}
}

func TestDeadLetterIDs(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"r", "a-dl3-b", "r-dl1", "BELAY_STEPS"} {
		if got, seq, ok := ParseDeadLetterID(DeadLetterID(of, 7)); !ok || got != of || seq != 7 {
			t.Errorf("%q: got %q, %d, %v", of, got, seq, ok)
		}
	}
	for _, id := range []string{"r-1", "r-dl", "r-dlx", "r-dl-1", "-dl5", "", "x-dl7-2"} {
		if IsDeadLetter(id) {
			t.Errorf("%q is taken for a dead letter", id)
		}
	}
}
