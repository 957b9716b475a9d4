package pages

import (
	"encoding/json"
	"strconv"

	"belay/internal/people"
	"belay/internal/steps"
)

// pick chooses the answer with the number that a button of the card sent. Any other number leaves all to choose from.
func (v *formView) pick(number string) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(v.Choices) {
		return
	}
	v.Choice, v.Picked = v.Choices[n-1], n
	v.Label = "Answer: are you sure?"
	v.Other = v.Card.Path + "/" + string(steps.VerbAnswer)
}

// happened makes the form with which somebody says that a call of unknown outcome did happen. It asks for one text, an id
// or a sentence, if that is enough of an output: if the output has no schema, is a string, or is an object with one
// required string. Any other output is asked for as in any other answer.
func (v *formView) happened() bool {
	if v.Card.Kind != steps.KindUnknown || v.Verb != people.Answer {
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

// onlyText returns the only required property of an object, if it is a string.
func onlyText(s schema) (name string, ok bool) {
	if len(s.Required) != 1 {
		return "", false
	}
	name = s.Required[0]
	p, known := s.Properties[name]
	return name, known && p.Type == "string" && p.Enum == nil
}

// saysNothing reports whether a schema accepts any value, as far as the forms understand it.
func saysNothing(raw json.RawMessage) bool {
	list, err := members(raw)
	return len(raw) == 0 || string(raw) == "true" || err == nil && len(list) == 0
}
