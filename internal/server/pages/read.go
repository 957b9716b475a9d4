package pages

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/people"
	"belay/internal/steps"
)

// take reads what a person sent into the form, and notes there what is wrong.
func (v *formView) take(form url.Values) {
	v.Reason, v.To, v.Text = form.Get("reason"), strings.TrimSpace(form.Get("to")), strings.TrimSpace(form.Get("text"))
	v.For = cmp.Or(form.Get("for"), v.For)
	if v.NeedsReason && strings.TrimSpace(v.Reason) == "" {
		v.ReasonError = "This decision needs a reason; the run's log keeps it."
	}
	if v.Verb == people.Approve {
		v.readDigest(form.Get("digest"))
		v.readPasskey(form)
	}
	if v.Verb == people.Snooze && !slices.ContainsFunc(v.Spans, func(s spanChoice) bool { return s.Value == v.For }) {
		v.Errors = append(v.Errors, "Choose how long.")
	}
	if v.Verb == people.Assign && v.To == "" {
		v.Errors = append(v.Errors, "Say whom to assign it to.")
	}
	if v.Verb == people.Note && v.Text == "" {
		v.Errors = append(v.Errors, "Write the note.")
	}
	switch steps.Verb(v.Verb) {
	case steps.VerbEdit:
		v.readValue(form)
		if v.valid() && len(differences(v.before, v.value)) == 0 {
			v.Errors = append(v.Errors, "Nothing has changed. Retry runs it with the same parameters.")
		}
	case steps.VerbAnswer, steps.VerbExtend:
		v.readValue(form)
	case steps.VerbReject:
		v.Scope = form.Get("scope")
	}
}

// readDigest refuses to approve parameters other than those that the page showed.
func (v *formView) readDigest(shown string) {
	if shown != v.Digest || shown == "" {
		v.Errors = append(v.Errors, "The parameters have changed since your page was loaded. Read them again below.")
	}
}

func (v *formView) readValue(form url.Values) {
	switch {
	case len(v.Choices) > 0 && form.Has("option"):
		v.pick(form.Get("option"))
		v.readChoice(v.Choice)
	case len(v.Choices) > 0 && !form.Has("whole"):
		v.readChoice(form.Get("choice"))
	case form.Has("whole"):
		v.readWhole(form.Get("whole"))
	default:
		v.readFields(form)
	}
}

func (v *formView) readChoice(choice string) {
	v.Choice = choice
	if !slices.Contains(v.Choices, choice) {
		v.Error = "Choose one."
		return
	}
	v.value = quote(choice)
}

func (v *formView) readWhole(text string) {
	v.Whole, v.AsWhole = text, true
	v.value = squeeze(json.RawMessage(text))
	if !json.Valid(v.value) {
		v.Error = "This is not JSON. " + jsonMistake(text)
		return
	}
	if v.Verb == people.Edit && !isObject(v.value) {
		v.Error = "Parameters must be a JSON object: {\"name\": value}."
		return
	}
	v.Errors = append(v.Errors, check(nil, v.value, v.schema)...)
}

// jsonMistake says where a document is not valid JSON.
func jsonMistake(text string) string {
	var whole json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal([]byte(text), &whole)); ok {
		before := text[:min(int(e.Offset), len(text))]
		return "Line " + strconv.Itoa(strings.Count(before, "\n")+1) + ": " + e.Error() + "."
	}
	return "Text needs quotes: \"like this\"."
}

func (v *formView) readFields(form url.Values) {
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

// act returns the act that the form asks for.
func (v *formView) act(now time.Time) people.Act {
	a := people.Act{Verb: v.Verb, Reason: strings.TrimSpace(v.Reason), Scope: v.Scope, To: v.To, Text: v.Text, Digest: v.Digest, Revision: v.Revision, TakeOver: v.Take, Passkey: v.Signed}
	switch steps.Verb(v.Verb) {
	case steps.VerbEdit, steps.VerbExtend:
		a.Params = v.value
	case steps.VerbAnswer:
		a.Answer = v.value
	}
	if v.Verb == people.Snooze {
		d, _ := time.ParseDuration(v.For) // one of the choices
		a.Until = now.Add(d)
	}
	return a
}
