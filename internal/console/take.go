package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// take reads what a person sent into the form, and says in the form what is wrong with it.
func (v *formView) take(form url.Values) {
	v.Reason, v.To, v.Text = form.Get("reason"), strings.TrimSpace(form.Get("to")), strings.TrimSpace(form.Get("text"))
	v.For = cmp.Or(form.Get("for"), v.For)
	if v.NeedsReason && strings.TrimSpace(v.Reason) == "" {
		v.ReasonError = "This decision needs a reason; the run's log keeps it."
	}
	if v.Verb == handoff.Action(steps.VerbApprove) {
		v.takeDigest(form.Get("digest"))
	}
	if v.Verb == handoff.ActSnooze && !slices.ContainsFunc(v.Spans, func(s spanChoice) bool { return s.Value == v.For }) {
		v.Errors = append(v.Errors, "Choose for how long.")
	}
	if v.Verb == handoff.ActAssign && v.To == "" {
		v.Errors = append(v.Errors, "Say to whom.")
	}
	if v.Verb == handoff.ActNote && v.Text == "" {
		v.Errors = append(v.Errors, "Write a word.")
	}
	switch steps.Verb(v.Verb) {
	case steps.VerbEdit:
		v.takeValue(form)
		if v.valid() && len(differences(v.before, v.value)) == 0 {
			v.Errors = append(v.Errors, "Nothing is different. To run the same again, retry.")
		}
	case steps.VerbAnswer:
		v.takeValue(form)
	}
}

// takeDigest refuses to approve what is not what the page showed.
func (v *formView) takeDigest(shown string) {
	if shown != v.Digest || shown == "" {
		v.Errors = append(v.Errors, "The parameters are not those that your page showed. Read them again below.")
	}
}

func (v *formView) takeValue(form url.Values) {
	switch {
	case len(v.Choices) > 0 && form.Has("option"):
		v.pick(form.Get("option"))
		v.takeChoice(v.Choice)
	case len(v.Choices) > 0 && !form.Has("whole"):
		v.takeChoice(form.Get("choice"))
	case form.Has("whole"):
		v.takeWhole(form.Get("whole"))
	default:
		v.takeFields(form)
	}
}

func (v *formView) takeChoice(choice string) {
	v.Choice = choice
	if !slices.Contains(v.Choices, choice) {
		v.Error = "Pick one."
		return
	}
	v.value = quote(choice)
}

func (v *formView) takeWhole(text string) {
	v.Whole, v.AsWhole = text, true
	v.value = squeeze(json.RawMessage(text))
	if !json.Valid(v.value) {
		v.Error = "This is not JSON. " + jsonMistake(text)
		return
	}
	if v.Verb == handoff.Action(steps.VerbEdit) && !isObject(v.value) {
		v.Error = "Parameters are a JSON object: {\"name\": value}."
		return
	}
	v.Errors = append(v.Errors, check(nil, v.value, v.schema)...)
}

// jsonMistake says where a document stops being JSON.
func jsonMistake(text string) string {
	var whole json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal([]byte(text), &whole)); ok {
		before := text[:min(int(e.Offset), len(text))]
		return "Line " + strconv.Itoa(strings.Count(before, "\n")+1) + ": " + e.Error() + "."
	}
	return "A text needs its quotes: \"like this\"."
}

func (v *formView) takeFields(form url.Values) {
	raw, ok := readFields(v.Fields, form)
	v.value = raw
	against := v.schema
	if v.single() {
		against = wrapped(v.schema)
		if answer, err := members(raw); err == nil {
			v.value = find(answer, answerField)
		}
	}
	if ok {
		v.Errors = append(v.Errors, check(v.Fields, raw, against)...)
	}
}

// valid reports whether nothing is wrong with what was typed.
func (v *formView) valid() bool {
	return v.ReasonError == "" && v.Error == "" && len(v.Errors) == 0 &&
		!slices.ContainsFunc(v.Fields, func(f field) bool { return f.Error != "" })
}

// act is what the form asks for.
func (v *formView) act(now time.Time) handoff.Act {
	a := handoff.Act{Verb: v.Verb, Reason: strings.TrimSpace(v.Reason), To: v.To, Text: v.Text, Digest: v.Digest, Revision: v.Revision, Take: v.Take}
	switch steps.Verb(v.Verb) {
	case steps.VerbEdit:
		a.Params = v.value
	case steps.VerbAnswer:
		a.Answer = v.value
	}
	if v.Verb == handoff.ActSnooze {
		d, _ := time.ParseDuration(v.For) // one of the choices
		a.Until = now.Add(d)
	}
	return a
}
