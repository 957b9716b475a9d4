package runlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Head is the part of a submission that lists show and filter by.
type Head struct {
	Workflow string            // the plan's name; empty if the submission cannot be read
	Labels   map[string]string // nil if it has none
	Input    json.RawMessage   // an object
	Owner    string            // the owner of the token that it was submitted with; empty = without a token
	Tools    []string          // names of the tools that its plan uses, sorted

	start steps.Submitted // of which only At, In and the epoch are read
}

// ReadHead reads only the head of a submission.
func ReadHead(body []byte) Head {
	var s struct {
		Document struct {
			Plan struct {
				Name string `json:"name"`
			} `json:"plan"`
			Tools map[string]struct{} `json:"tools"`
		} `json:"document"`
		Labels map[string]string `json:"labels"`
		By     string            `json:"by"`
		Token  string            `json:"token"`
		Input  json.RawMessage   `json:"input"`
		Epoch  int               `json:"epoch"`
		At     time.Time         `json:"at"`
		In     steps.Duration    `json:"in"`
	}
	if exactjson.Unmarshal(body, &s) != nil {
		return Head{}
	}
	tools := slices.Sorted(maps.Keys(s.Document.Tools))
	return Head{s.Document.Plan.Name, s.Labels, s.Input, ownerOf(s.By, s.Token), tools, steps.Submitted{Epoch: s.Epoch, At: s.At, In: s.In}}
}

// ownerOf is the owner of the token that a run was submitted with; empty = without a token: a name alone proves nothing.
func ownerOf(by, token string) string {
	if token == "" {
		return ""
	}
	return by
}

func (h Head) labels() map[string]string {
	if h.Labels == nil {
		return map[string]string{}
	}
	return h.Labels
}

// EndOf returns how the run ended whose result this entry is; empty if it cannot be read.
func EndOf(names wire.Names, e bus.Entry) steps.RunState {
	_, event, err := Parse(names, e)
	c, ok := event.(steps.Closed)
	if err != nil || !ok {
		return ""
	}
	return c.State
}

// inputDepth is how deep lists look for values in the input.
const inputDepth = 3

// InputValues calls f for the values of an input that lists can be filtered by: strings, numbers and booleans in its
// objects, three deep. A path has dots between names. A number is as written. A value whose name says that it is a secret is
// none of them, nor is what lies below such a name: whoever may see a list could guess it.
func InputValues(input json.RawMessage, f func(path, text string)) {
	inputValues("", input, inputDepth, f)
}

func inputValues(path string, value json.RawMessage, depth int, f func(path, text string)) {
	if len(value) == 0 {
		return
	}
	switch value[0] {
	case '{':
		var object map[string]json.RawMessage
		if depth == 0 || json.Unmarshal(value, &object) != nil {
			return
		}
		for name, v := range object {
			if plan.NamesSecret(name) {
				continue
			}
			inputValues(strings.TrimPrefix(path+"."+name, "."), v, depth-1, f)
		}
	case '"':
		var text string
		if json.Unmarshal(value, &text) == nil {
			f(path, text)
		}
	case '[', 'n':
	default:
		f(path, string(value))
	}
}

// CheckPath says why no run is found by a value of the input at this path.
func CheckPath(path string) error {
	names := strings.Split(path, ".")
	for _, name := range names {
		if plan.NamesSecret(name) {
			return fmt.Errorf("input %s: runs are not searched by values whose name says that they are secrets (%s); give what they are to be found by a label", path, name)
		}
	}
	if len(names) > inputDepth {
		return fmt.Errorf("input %s: runs are searched by values at most %d objects deep", path, inputDepth)
	}
	return nil
}

// holds reports whether an input has all these values.
func holds(input json.RawMessage, wanted map[string]string) bool {
	if len(wanted) == 0 {
		return true
	}
	found := 0
	InputValues(input, func(path, text string) {
		if v, ok := wanted[path]; ok && v == text {
			found++
		}
	})
	return found == len(wanted)
}
