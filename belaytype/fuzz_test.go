package belaytype

import (
	"encoding/json"
	"testing"
)

// FuzzDuration: a number of seconds that is read is written as one that reads the same, up to a hundred days.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{`0`, `1.5`, `1e-9`, `67000.12721271001`, `null`, `"1"`} {
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
