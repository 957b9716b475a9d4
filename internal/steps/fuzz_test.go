package steps

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzNames: what the name of an attempt or of an escalation is read as has that name and no other.
func FuzzNames(f *testing.F) {
	for _, s := range []string{Attempt{Step: "s", Try: 1}.Token(), "1-2-3", "01-0-1", "+1-0-1", "0-0--1", EscalationID("r", 3), DeadLetterID("BELAY_RUNS_1", 7), "r-dl07", "r-dl-dl1", "-dl1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := ParseAttempt("s", s); ok && a.Token() != s {
			t.Errorf("%q is the attempt %q", s, a.Token())
		}
		of, seq, ok := ParseDeadLetterID(s)
		if ok && DeadLetterID(of, seq) != s {
			t.Errorf("%q is the dead letter %q", s, DeadLetterID(of, seq))
		}
		if run, is := RunOfEscalation(s); ok && (!is || run != of) {
			t.Errorf("%q is of %q, and of %q", s, of, run)
		}
	})
}

// FuzzCanonical: the canonical form of JSON is JSON with the same value, and is canonical.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":[1.50,1e400,"<&\u2028"],"a":null}`, `{"a":1,"a":2}`, `{"a":{"b":1,"\u0062":2}}`, `1 2`, `-0`, `[[]]`, "{\"\xff\":1,\"\xfe\":2}", `[1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if CheckDepth(raw) != nil {
			return
		}
		once, err := Canonical(raw)
		if err != nil {
			return
		}
		if !json.Valid(raw) || !json.Valid(once) {
			t.Fatalf("%q becomes %q", raw, once)
		}
		twice, err := Canonical(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q, then %q (%v)", raw, once, twice, err)
		}
	})
}

// FuzzDuration: a number of seconds that is read is written as one that reads the same, up to the lengths (a hundred days)
// beyond which a float64 has no nanoseconds.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{`0`, `1.5`, `1e-9`, `1e300`, `-1e300`, `9223372036.854775`, `67000.12721271001`, `null`, `"1"`, `-0.0000000001`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d, back Duration
		if json.Unmarshal(raw, &d) != nil || d > 1<<53 || d < -1<<53 {
			return
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &back); err != nil || back != d {
			t.Fatalf("%s is %d, written as %s, read as %d (%v)", raw, d, text, back, err)
		}
	})
}
