package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// decisions is how what may be decided lies on a card: what leads stands in sight, the rest behind one press.
type decisions struct {
	Suggested string       // label of the suggested decision; empty = none is suggested
	Ground    string       // what speaks for it
	Lead      []offerView  // the suggested decision, or those that the question is about
	Pair      bool         // two that lead are alike: one says yes, the other no
	Options   []optionView // answers to pick from
	Picking   string       // what picking one of them does
	Rest      []offerView
	Refused   string // what the reader's role may not decide, in words
}

// optionView is a button that opens the form of one answer.
type optionView struct {
	Text string // outside text
	Path string
}

// decide lays out what the reader may decide. A suggested decision leads alone and is the primary one, unless it is grave:
// those never are. Without a suggestion nothing is primary, and what the question is about leads.
func decide(d steps.Dossier, p Person) decisions {
	list, refused := offers(d, p)
	v := decisions{Refused: refused, Rest: list}
	if d.Suggestion != nil {
		if v.lead(handoff.Action(d.Suggestion.Verb)) {
			v.Lead[0].Primary = !v.Lead[0].Grave
			v.Suggested, v.Ground = v.Lead[0].Label, d.Suggestion.Ground
			return v
		}
	}
	switch d.Kind {
	case steps.KindApproval:
		v.lead(handoff.Action(steps.VerbApprove))
		v.lead(handoff.Action(steps.VerbReject))
		v.Pair = len(v.Lead) == 2
	case steps.KindUnknown:
		v.lead(handoff.Action(steps.VerbVerify))
		v.lead(handoff.Action(steps.VerbAnswer))
		v.lead(handoff.Action(steps.VerbRetry))
	case steps.KindQuestion:
		v.options(d)
	default:
		v.harmless(2)
	}
	return v
}

// lead puts a decision among those that lead, if it is offered.
func (v *decisions) lead(a handoff.Action) bool {
	i := slices.IndexFunc(v.Rest, func(o offerView) bool { return o.Verb == a })
	if i < 0 {
		return false
	}
	v.Lead = append(v.Lead, v.Rest[i])
	v.Rest = slices.Delete(slices.Clone(v.Rest), i, i+1)
	return true
}

// harmless lets the first n decisions lead that are not grave.
func (v *decisions) harmless(n int) {
	for _, o := range slices.Clone(v.Rest) {
		if !o.Grave && len(v.Lead) < n {
			v.lead(o.Verb)
		}
	}
}

// options makes a button of each answer to pick from; where there are none, the answer is to be typed.
func (v *decisions) options(d steps.Dossier) {
	answer := handoff.Action(steps.VerbAnswer)
	if !v.lead(answer) || d.Question == nil || len(d.Question.Options) == 0 {
		return
	}
	v.Lead, v.Picking = nil, v.Lead[0].Effect // the options are the answer
	for i, text := range d.Question.Options {
		v.Options = append(v.Options, optionView{text, optionPath(d.ID, i)})
	}
}

// optionPath is where the form of one answer is. It bears the answer's number, not its text: nothing from outside becomes
// a part of an address.
func optionPath(id string, i int) string {
	return cardPath(id) + "/" + string(steps.VerbAnswer) + "?" + url.Values{"option": {strconv.Itoa(i + 1)}}.Encode()
}

// offers are the buttons of what the reader may decide, and a sentence on what others must.
func offers(d steps.Dossier, p Person) (list []offerView, refused string) {
	var others []string
	for _, o := range d.Offers {
		a := handoff.Action(o.Verb)
		if bars := d.Bars(p.Name); o.Verb == steps.VerbApprove && p.may(a) && bars.Outcome != "" {
			refused = spoken(bars.Text)
			continue
		}
		if !p.may(a) {
			others = append(others, string(o.Verb))
			continue
		}
		list = append(list, offerView{Verb: a, Label: labelOf(d.Kind, a), Key: verbWords[a].Key, Effect: spoken(o.Effect), Grave: o.Grave, Path: cardPath(d.ID) + "/" + string(a)})
	}
	if len(others) > 0 {
		refused = strings.TrimPrefix(refused+" As "+cmp.Or(p.Role, "a reader")+" you may not decide: "+join(others)+".", " ")
	}
	return list, refused
}

// labelOf is what a decision is called where a question of this kind is asked.
func labelOf(kind steps.EscalationKind, a handoff.Action) string {
	if kind == steps.KindUnknown {
		switch steps.Verb(a) {
		case steps.VerbVerify:
			return "Look whether it happened"
		case steps.VerbAnswer:
			return "It happened"
		case steps.VerbRetry:
			return "It did not happen: run it"
		}
	}
	return verbWords[a].Label
}

// actsOf are the buttons of what decides nothing. What another person has claimed only they release, before it runs out.
func actsOf(v cardView, p Person) []offerView {
	list := []handoff.Action{handoff.ActClaim, handoff.ActAssign, handoff.ActSnooze, handoff.ActNote}
	switch {
	case v.People.Mine:
		list[0] = handoff.ActRelease
	case v.People.Holder != "":
		list = list[1:]
	}
	var out []offerView
	for _, a := range list {
		if p.may(a) {
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
