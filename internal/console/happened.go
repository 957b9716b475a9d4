package console

import (
	"encoding/json"
	"strconv"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// pick takes the answer whose number a button of the card names. What is no number of one leaves all to pick from.
func (v *formView) pick(number string) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(v.Choices) {
		return
	}
	v.Choice, v.Picked = v.Choices[n-1], n
	v.Label = "Answer: is this what you mean?"
	v.Other = v.Card.Path + "/" + string(steps.VerbAnswer)
}

// happened makes the form of somebody who says that something happened of which nobody knew: one text, an id or a
// sentence, wherever that is enough of an output. It is for an output without a schema, for one that is a text, and for
// an object that must have one text. Any other output is asked for like any other answer.
func (v *formView) happened() bool {
	if v.Card.Kind != steps.KindUnknown || v.Verb != handoff.Action(steps.VerbAnswer) {
		return false
	}
	s := readSchema(v.schema)
	switch name, ok := onlyText(s); {
	case ok:
		v.Fields = []field{newField(name, nil, s)}
	case saysNothing(v.schema), s.Type == "string" && s.Enum == nil:
		v.Fields = fieldsOf(json.RawMessage("{}"), wrapped(v.schema))
	default:
		return false
	}
	v.Fields[0].Label = "What happened"
	if v.Fields[0].Name != answerField {
		v.Fields[0].Label = v.Fields[0].Name
	}
	v.Fields[0].Hint = "An id or a sentence is enough."
	return true
}

// onlyText is the property that an object must have, where that is one text and no other is needed.
func onlyText(s schema) (name string, ok bool) {
	if len(s.Required) != 1 {
		return "", false
	}
	name = s.Required[0]
	p, known := s.Properties[name]
	return name, known && p.Type == "string" && p.Enum == nil
}

// saysNothing reports whether a schema lets any value through, as far as the forms understand it.
func saysNothing(raw json.RawMessage) bool {
	list, err := members(raw)
	return len(raw) == 0 || string(raw) == "true" || err == nil && len(list) == 0
}
