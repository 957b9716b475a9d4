package pages

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"belay/internal/steps/view"
)

// valuePath is the path of a whole value of which a card or a run shows only the beginning.
func valuePath(page, of string) string { return page + "/value?of=" + url.QueryEscape(of) }

// outputPath is the path of the whole output of a step.
func outputPath(run, step string) string { return run + "/value?step=" + url.QueryEscape(step) }

// cardValue answers with one value of a card, as it is written.
func (c *Console) cardValue(w http.ResponseWriter, r *http.Request) {
	card, err := c.o.Desk.Question(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := card.Dossier
	switch of := r.URL.Query().Get("of"); {
	case of == "input":
		c.writeValue(w, r, d.Input)
	case of == "params" && d.Failing != nil:
		c.writeValue(w, r, d.Failing.Params)
	case of == "answer" && d.Decision != nil:
		c.writeValue(w, r, d.Decision.Answer)
	case of == "edit" && d.Decision != nil:
		c.writeValue(w, r, d.Decision.Params)
	default:
		c.nowhere(w, r)
	}
}

// runValue answers with the input or output of a run, or the output of one of its steps, as it is written.
func (c *Console) runValue(w http.ResponseWriter, r *http.Request) {
	d, err := c.o.Runs.Document(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	of, step := r.URL.Query().Get("of"), r.URL.Query().Get("step")
	i := slices.IndexFunc(d.Steps, func(s view.Step) bool { return s.ID == step })
	switch {
	case i >= 0:
		c.writeValue(w, r, d.Steps[i].Output)
	case of == "input":
		c.writeValue(w, r, d.Input)
	case of == "output":
		c.writeValue(w, r, d.Output)
	default:
		c.nowhere(w, r)
	}
}

func (c *Console) writeValue(w http.ResponseWriter, r *http.Request, raw json.RawMessage) {
	if len(raw) == 0 {
		c.nowhere(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(raw) // else the reader is gone
}
