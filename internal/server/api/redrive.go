package api

import (
	"net/http"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// redriveOrder is a decision about a list that somebody was shown.
type redriveOrder struct {
	Verb   people.Action    `json:"verb"`
	Reason string           `json:"reason,omitempty"`
	Items  []handoff.Chosen `json:"items"`
	DryRun bool             `json:"dry_run,omitempty"`
}

// redrivePreview is what the decision would do to one item.
type redrivePreview struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision"`
	Effect   string `json:"effect,omitempty"`  // what it would do; empty if it is not possible here
	Refused  string `json:"refused,omitempty"` // why not
}

func (a *api) redrive(w http.ResponseWriter, r *http.Request) {
	var o redriveOrder
	err := decode(w, r, &o)
	act := people.Act{Verb: o.Verb, Reason: o.Reason}
	if err == nil {
		err = handoff.CheckRedrive(act)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	if o.DryRun {
		a.preview(w, r, o)
		return
	}
	s, err := a.Redrives.Start(r.Context(), a.Who(r), o.Items, act)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Location", "/api/v1/redrives/"+s.ID)
	reply(w, http.StatusAccepted, s)
}

func (a *api) preview(w http.ResponseWriter, r *http.Request, o redriveOrder) {
	if len(o.Items) > handoff.MaxRedrive {
		refuse(w, fault{http.StatusUnprocessableEntity, "invalid", "too many", "a redrive takes at most 1000 items"})
		return
	}
	lines := make([]redrivePreview, len(o.Items))
	for i, it := range o.Items {
		lines[i] = redrivePreview{ID: it.ID, Revision: it.Revision}
		c, err := a.Desk.Question(r.Context(), it.ID)
		switch {
		case err != nil:
			lines[i].Refused = faultOf(err).title
		case c.Dossier.State != steps.EscalationOpen:
			lines[i].Refused = "it is " + string(c.Dossier.State)
		default:
			lines[i].Revision = c.Dossier.Revision
			lines[i].fill(c.Dossier.Offers, o)
		}
	}
	answer(w, list[redrivePreview]{Items: lines, Total: len(lines)})
}

func (p *redrivePreview) fill(offers []view.Offer, o redriveOrder) {
	p.Refused = string(o.Verb) + " is not possible here"
	for _, offer := range offers {
		if offer.Verb != steps.Verb(o.Verb) {
			continue
		}
		p.Effect, p.Refused = offer.Effect, ""
		if offer.NeedsReason && o.Reason == "" {
			p.Refused = "it needs a reason"
		}
	}
}

func (a *api) redriven(w http.ResponseWriter, r *http.Request) {
	s, err := a.Redrives.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, s)
}

func (a *api) stopRedrive(w http.ResponseWriter, r *http.Request) {
	s, err := a.Redrives.Stop(r.Context(), a.Who(r), r.PathValue("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, s)
}
