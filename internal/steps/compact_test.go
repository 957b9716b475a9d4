package steps

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzCompact: whatever comes, the short way gives what the long one does.
func FuzzCompact(f *testing.F) {
	for _, s := range []string{`{"a":"b c"}`, `{"a": 1}`, `{"a\\":"\" x"}`, "[1,\n2]", `"a\" b"`, `{"a\"b" :1}`, `{`, ` `, ``, `"`, `"\`, "\"\u2028 <&>\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		want := raw
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			want = b.Bytes()
		}
		if got := compact(raw); !bytes.Equal(got, want) {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	})
}
