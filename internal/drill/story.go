package drill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
)

// Story is one play that is written down: what goes wrong, what people decide, and how it should end. It names steps, rungs
// and faults and no attempts, so that it still holds when the plan is changed.
type Story struct {
	About   string         `yaml:"about,omitempty"`
	Plan    string         `yaml:"plan"`              // file, beside the story
	Tools   string         `yaml:"tools,omitempty"`   // file; default tools.yaml beside the plan
	Input   map[string]any `yaml:"input,omitempty"`   //
	Outputs map[string]any `yaml:"outputs,omitempty"` // what tools give, as for a drill
	World   []Incident     `yaml:"world,omitempty"`   // what goes wrong, in this order
	Cancel  string         `yaml:"cancel,omitempty"`  // the step with whose result somebody cancels the run; an item is `<step>~<n>`
	People  []Deciding     `yaml:"people,omitempty"`  // what is decided; what is not named here is decided as in a drill
	Expect  Expect         `yaml:"expect"`
}

// Incident is something that goes wrong with the calls of a step.
type Incident struct {
	Step  string `yaml:"step"`            // all items of a list; one is `<step>~<n>`. A compensation is `<step>~undo`
	Rung  string `yaml:"rung,omitempty"`  // default the first
	Fault string `yaml:"fault,omitempty"` // one of a drill's, or an HTTP status
	Times int    `yaml:"times,omitempty"` // how many calls it hits; 0: all
	After int    `yaml:"after,omitempty"` // calls that go well before
	Acted bool   `yaml:"acted,omitempty"` // the call has had its effect before it failed

	// In place of Fault, any fault.
	Class      steps.Class   `yaml:"class,omitempty"`
	MayHave    bool          `yaml:"may_have_acted,omitempty"` // what is known of the effect
	RetryAfter time.Duration `yaml:"retry_after,omitempty"`
	Message    string        `yaml:"message,omitempty"`
}

// Deciding is what a person decides.
type Deciding struct {
	Asks   steps.EscalationKind `yaml:"asks,omitempty"` // approval, failure, unknown, question, deadline; default any
	Of     string               `yaml:"of,omitempty"`   // the step; default any
	Verb   steps.Verb           `yaml:"verb"`           // `none`: nobody decides
	By     string               `yaml:"by,omitempty"`
	After  time.Duration        `yaml:"after,omitempty"` // default 2m, or half of a sooner deadline
	Reason string               `yaml:"reason,omitempty"`
	Params any                  `yaml:"params,omitempty"`
	Answer any                  `yaml:"answer,omitempty"`
}

// Expect is how a story should end. What is not named is not looked at.
type Expect struct {
	Ends     steps.RunState `yaml:"ends"`               // state of the run; waiting: a person is asked, and nobody decides; any: whatever it is
	Degraded []string       `yaml:"degraded,omitempty"` // step.rung
	Asked    []string       `yaml:"asked,omitempty"`    // `unknown of refund`, in this order
	Effects  map[string]int `yaml:"effects,omitempty"`  // by tool
	Within   time.Duration  `yaml:"within,omitempty"`   // of work; people's time is left out
}

// ParseStory reads a story.
func ParseStory(data []byte) (*Story, error) {
	var s Story
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not a story: %w", err)
	}
	switch {
	case s.Plan == "":
		return nil, errors.New("the story does not say which plan it is about: plan: refund.yaml")
	case s.Expect.Ends == "":
		return nil, errors.New("the story does not say how it should end: expect: {ends: succeeded}")
	}
	return &s, nil
}

// Write writes a story.
func (s *Story) Write(w io.Writer) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(s); err != nil {
		return err
	}
	return e.Close()
}
