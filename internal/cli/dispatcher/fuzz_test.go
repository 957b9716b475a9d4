package dispatcher

import (
	"testing"

	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
)

// FuzzRedriveList is about a list of escalations that a person has looked through.
func FuzzRedriveList(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (list []redriveLine, err error) {
		return list, exactjson.Unmarshal(withoutMark(body), &list)
	}, []redriveLine{{ID: "r-1", Step: "s", Tool: "t", Class: "timeout", Effect: "e"}})
}

// FuzzPairs: name=value on the command line is read as it is written.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{"a=b", "a=b=c", "=b", "a", "a="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		all, err := pairs("label", []string{s})
		if err != nil {
			return
		}
		for k, v := range all {
			if len(all) != 1 || k == "" || k+"="+v != s {
				t.Fatalf("%q is %q", s, all)
			}
		}
	})
}
