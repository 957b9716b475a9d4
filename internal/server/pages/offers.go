package pages

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// decisions are the possible decisions of a card: the leading ones in sight, the rest behind one press.
type decisions struct {
	Suggested string       // label of the suggested decision; empty = none is suggested
	Ground    string       // why it is suggested
	Lead      []offerView  // the suggested decision, or those that the escalation is about
	Pair      bool         // there are two of equal weight: one says yes, the other no
	Options   []optionView // answers to choose from
	Picking   string       // what choosing one of them does
	Rest      []offerView
	Refused   string // what the reader's role may not decide, in words
}

// optionView is a button that opens the form of one answer.
type optionView struct {
	Text string // outside text
	Path string
}

// decide lays out what the reader may decide. A suggested decision leads alone and is primary, unless it is grave: grave
// ones never are. Without a suggestion nothing is primary, and the decisions that the escalation is about lead.
func decide(d view.Dossier, p people.Actor) decisions {
	list, refused := offers(d, p)
	v := decisions{Refused: refused, Rest: list}
	if d.Suggestion != nil {
		if v.lead(people.Action(d.Suggestion.Verb)) {
			v.Lead[0].Primary = !v.Lead[0].Grave
			v.Suggested, v.Ground = v.Lead[0].Label, d.Suggestion.Ground
			return v
		}
	}
	switch d.Kind {
	case steps.KindApproval:
		v.lead(people.Approve)
		v.lead(people.Reject)
		v.Pair = len(v.Lead) == 2
	case steps.KindUnknown:
		v.lead(people.Verify)
		v.lead(people.Answer)
		v.lead(people.Retry)
	case steps.KindLimit:
		v.lead(people.Extend)
		v.lead(people.Finish)
	case steps.KindQuestion:
		v.options(d)
	default:
		v.harmless(2)
	}
	return v
}

// lead makes a decision a leading one, if it is offered.
func (v *decisions) lead(a people.Action) bool {
	i := slices.IndexFunc(v.Rest, func(o offerView) bool { return o.Verb == a })
	if i < 0 {
		return false
	}
	v.Lead = append(v.Lead, v.Rest[i])
	v.Rest = slices.Delete(slices.Clone(v.Rest), i, i+1)
	return true
}

// harmless makes the first n decisions lead that are not grave.
func (v *decisions) harmless(n int) {
	for _, o := range slices.Clone(v.Rest) {
		if !o.Grave && len(v.Lead) < n {
			v.lead(o.Verb)
		}
	}
}

// options makes a button of each answer to choose from; if there are none, the answer has to be typed.
func (v *decisions) options(d view.Dossier) {
	answer := people.Answer
	if !v.lead(answer) || d.Question == nil || len(d.Question.Options) == 0 {
		return
	}
	v.Lead, v.Picking = nil, v.Lead[0].Effect // the options are the answer
	for i, text := range d.Question.Options {
		v.Options = append(v.Options, optionView{text, optionPath(d.ID, i)})
	}
}

// optionPath is the path of the form of one answer. It has the answer's number, not its text: no outside text becomes part
// of an address.
func optionPath(id string, i int) string {
	return cardPath(id) + "/" + string(steps.VerbAnswer) + "?" + url.Values{"option": {strconv.Itoa(i + 1)}}.Encode()
}

// offers returns the buttons of the reader's decisions, and a sentence about those that the reader may not make.
func offers(d view.Dossier, p people.Actor) (list []offerView, refused string) {
	var others []string
	for _, o := range d.Offers {
		a := people.Action(o.Verb)
		if bars := d.Bars(p.Name); o.Verb == steps.VerbApprove && p.May(a) == nil && bars.Outcome != "" {
			refused = spoken(bars.Text)
			continue
		}
		if p.May(a) != nil {
			others = append(others, string(o.Verb))
			continue
		}
		list = append(list, offerView{Verb: a, Label: labelOf(d.Kind, a), Key: verbWords[a].Key, Effect: spoken(o.Effect, namesIn(d)...), Grave: o.Grave, Path: cardPath(d.ID) + "/" + string(a)})
	}
	if len(others) > 0 {
		refused = strings.TrimPrefix(refused+" Your role, "+cmp.Or(roleOf(p), "a reader")+", does not allow "+join(others)+".", " ")
	}
	return list, refused
}

// labelOf is the label of a decision about an escalation of this kind.
func labelOf(kind steps.EscalationKind, a people.Action) string {
	if kind == steps.KindUnknown {
		switch steps.Verb(a) {
		case steps.VerbVerify:
			return "Check whether it happened"
		case steps.VerbAnswer:
			return "It happened"
		case steps.VerbRetry:
			return "It did not happen: run it"
		}
	}
	if kind == steps.KindQuestion && a == people.Reject {
		return "Decline"
	}
	return verbWords[a].Label
}

// actsOf returns the buttons of the acts that decide nothing. Only whoever claimed it can release a claim.
func actsOf(v cardView, p people.Actor) []offerView {
	list := []people.Action{people.Claim, people.Assign, people.Snooze, people.Note}
	switch {
	case v.People.Mine:
		list[0] = people.Release
	case v.People.Holder != "":
		list = list[1:]
	}
	var out []offerView
	for _, a := range list {
		if p.May(a) == nil {
			out = append(out, offerView{Verb: a, Label: verbWords[a].Label, Key: verbWords[a].Key, Path: v.Path + "/" + string(a)})
		}
	}
	return out
}

func join(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}
