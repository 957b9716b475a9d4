package exactjson

import (
	"encoding/json"
	"strings"
	"testing"
)

var bodies = []string{
	``, ` `, `{}`, ` [ ] `, `{"a":[1,-2.5e+3,0,-0,0.10E-7,true,false,null,{"b":[]},{},"\"\\\/\b\f\n\r\t\u12aF é"],"":{"c":{"d":[[],[[1]]]}}}`,
	`01`, `-`, `1.`, `.1`, `1e`, `1e+`, `+1`, `- 1`, `nul`, `nulll`, `true false`, `1 2`, `"`, `"a`, `"\`, `"\q"`, `"\u12"`, `"\u12g4"`,
	"\"\x01\"", "\"\x7f\"", "\"\xff\"", "\"\t\"", `[`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{1:2}`, `{"a":1]`, `[1}`, `{,}`, `]`, `}`, `,`, `:`, "\v1", "1\x00", "\ufeff1",
}

// TestValid: what is JSON here is JSON to encoding/json, and the other way round.
func TestValid(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{1, 9, deepest, deepest + 1, 1_000_000} {
		bodies = append(bodies, strings.Repeat("[", depth)+strings.Repeat("]", depth), strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth))
	}
	for _, body := range bodies {
		alike(t, []byte(body))
	}
}

func FuzzValid(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(alike)
}

func alike(t *testing.T, body []byte) {
	if got, want := Valid(body), json.Valid(body); got != want {
		t.Errorf("%.200q: %v, to encoding/json %v", body, got, want)
	}
}
