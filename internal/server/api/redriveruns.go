package api

import (
	"fmt"
	"net/http"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
)

// runsOrder says what is to be done to many runs alike: to those that a query finds, or to those of a list that somebody was shown.
type runsOrder struct {
	Where  string           `json:"where,omitempty"`
	Items  []handoff.Chosen `json:"items,omitempty"`
	Reason string           `json:"reason,omitempty"`
	Rate   float64          `json:"rate,omitempty"`
	DryRun bool             `json:"dry_run,omitempty"`
}

// runsPreview is what an order would be about.
type runsPreview struct {
	Items  []runPreview `json:"items"`            // the newest first, at most 1000
	Total  int          `json:"total"`            // how many there are, or may be
	More   bool         `json:"more,omitempty"`   // not all are in items: repeat the order for the rest
	Before int          `json:"before,omitempty"` // of a retry: how many match and were retried before
	Short  string       `json:"short,omitempty"`  // why some may be missing, as a sentence
}

// runPreview is a run as an order takes it, and what a person recognises it by.
type runPreview struct {
	ID       string         `json:"id"`
	State    steps.RunState `json:"state"`
	Workflow string         `json:"workflow"`
}

func (a *api) redriveRuns(verb people.Action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, body := a.Who(r), runsOrder{}
		allowed, err := a.allowed(who, verb)
		if err == nil {
			err = decode(w, r, &body)
		}
		order := handoff.RunOrder{Verb: verb, Reason: body.Reason, Where: body.Where, Rate: body.Rate}
		if who.Role == people.Submitter {
			order.Owner = who.Name // there are no others to it
		}
		if err == nil {
			err = order.Check()
		}
		var found handoff.Found
		if err == nil && body.Items == nil {
			found, err = a.Redrives.FindRuns(r.Context(), order)
			body.Items = found.Chosen()
		}
		if err != nil {
			refuse(w, err)
			return
		}
		if body.DryRun {
			answer(w, previewOf(found))
			return
		}
		s, err := a.Redrives.StartRuns(r.Context(), who, order, body.Items, allowed)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Location", "/api/v1/redrives/"+s.ID)
		reply(w, http.StatusAccepted, s)
	}
}

// allowed says of each of many runs whether somebody may do something to it; nil for those who may do it to all.
func (a *api) allowed(who people.Actor, verb people.Action) (handoff.Allowed, error) {
	if who.Role != people.Submitter {
		return nil, who.May(verb)
	}
	return a.rights().ToMany(who, verb)
}

// ofRedrive lets in who may look at everybody's work, and a submitter where it has ordered the redrive itself.
func (a *api) ofRedrive(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who := a.Who(r)
		if who.Role != people.Submitter {
			a.looking(next)(w, r)
			return
		}
		err := who.May(people.LookAtOwn)
		if err == nil {
			var s handoff.Redrive
			if s, err = a.Redrives.Get(r.Context(), r.PathValue("id")); err == nil && (s.Of != handoff.OfRuns || s.By != who.Name) {
				err = fmt.Errorf("%w: %q", handoff.ErrNoRedrive, s.ID)
			}
		}
		if err != nil {
			refuse(w, err)
			return
		}
		next(w, r)
	}
}

func previewOf(f handoff.Found) runsPreview {
	p := runsPreview{Items: []runPreview{}, Total: f.Total, More: f.More, Before: f.Before, Short: f.Short}
	for _, s := range f.Runs {
		p.Items = append(p.Items, runPreview{s.ID, s.State, s.Workflow})
	}
	return p
}

func (a *api) resumeRedrive(w http.ResponseWriter, r *http.Request) {
	who, id := a.Who(r), r.PathValue("id")
	s, err := a.Redrives.Get(r.Context(), id)
	var allowed handoff.Allowed
	if err == nil {
		allowed, err = a.allowed(who, s.Verb)
	}
	if err == nil {
		s, err = a.Redrives.Resume(r.Context(), who, id, allowed)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, s)
}
