package runlog

import (
	"encoding/json"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Head is the part of a submission that lists show and filter by.
type Head struct {
	Workflow string            // the plan's name; empty if the submission cannot be read
	Labels   map[string]string // nil if it has none
	Input    json.RawMessage   // an object
	Owner    string            // the owner of the token that it was submitted with; empty = without a token

	start steps.Submitted // of which only At, In and the epoch are read
}

// ReadHead reads only the head of a submission.
func ReadHead(body []byte) Head {
	var s struct {
		Document struct {
			Plan struct {
				Name string `json:"name"`
			} `json:"plan"`
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
	return Head{s.Document.Plan.Name, s.Labels, s.Input, ownerOf(s.By, s.Token), steps.Submitted{Epoch: s.Epoch, At: s.At, In: s.In}}
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
// objects, three deep. A path has dots between names. A number is as written.
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
