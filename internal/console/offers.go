package console

import (
	"cmp"
	"strings"

	"belay/internal/handoff"
	"belay/internal/steps"
)

func suggestion(d steps.Dossier) *suggestionView {
	if d.Suggestion == nil {
		return nil
	}
	return &suggestionView{verbWords[handoff.Action(d.Suggestion.Verb)].Label, d.Suggestion.Ground}
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
		list = append(list, offerView{a, verbWords[a].Label, verbWords[a].Key, spoken(o.Effect), o.Grave, cardPath(d.ID) + "/" + string(a)})
	}
	if len(others) > 0 {
		refused = strings.TrimPrefix(refused+" As "+cmp.Or(p.Role, "a reader")+" you may not decide: "+join(others)+".", " ")
	}
	return list, refused
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
