package pages

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// News tells an open page what has changed since it was loaded. The page itself changes only when the reader wants it to.

// newsView is one line about what changed; empty if nothing did.
type newsView struct {
	Text string
	Show string // path that shows it
}

// newsOf returns the path of the news for a list of these items, with what the page knows already.
func newsOf(items []handoff.Item, form url.Values) string {
	v := url.Values{"page": {"inbox"}, "since": {newest(items).Format(time.RFC3339Nano)}, "had": {strconv.Itoa(len(items))}}
	v.Set("show", "/"+pagePath(form, max(1, atoi(form.Get("page")))))
	return "/news?" + v.Encode()
}

func newest(items []handoff.Item) time.Time {
	var t time.Time
	for i := range items {
		if items[i].Opened.After(t) {
			t = items[i].Opened
		}
	}
	return t
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func (c *Console) news(w http.ResponseWriter, r *http.Request) {
	v, err := c.newsFor(r)
	if err != nil {
		c.o.Logger.DebugContext(r.Context(), "no news for a page", "error", err)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	c.write(w, r, http.StatusOK, "news", "news", v)
}

func (c *Console) newsFor(r *http.Request) (newsView, error) {
	form := r.URL.Query()
	switch form.Get("page") {
	case "card":
		return c.cardNews(r, form)
	case "run":
		return c.runNews(r, form)
	}
	items, err := c.o.Desk.Items(r.Context())
	if err != nil {
		return newsView{}, err
	}
	since, _ := time.Parse(time.RFC3339Nano, form.Get("since"))
	return newsView{inboxNews(items, since, atoi(form.Get("had"))), localPath(form.Get("show"))}, nil
}

// inboxNews counts the items opened since then, and those of the page that are closed.
func inboxNews(items []handoff.Item, since time.Time, had int) string {
	fresh := 0
	for i := range items {
		if items[i].Opened.After(since) {
			fresh++
		}
	}
	gone := had + fresh - len(items)
	switch {
	case fresh > 0 && gone > 0:
		return "+ " + strconv.Itoa(fresh) + " new, " + strconv.Itoa(gone) + " closed"
	case fresh > 0:
		return "+ " + strconv.Itoa(fresh) + " new"
	case gone > 0:
		return strconv.Itoa(gone) + " closed meanwhile"
	}
	return ""
}

// cardNews says what somebody did about the open card.
func (c *Console) cardNews(r *http.Request, form url.Values) (newsView, error) {
	card, err := c.o.Desk.Card(r.Context(), form.Get("id"))
	if err != nil {
		return newsView{}, err
	}
	if mark := markOf(card); mark == form.Get("mark") {
		return newsView{}, nil
	}
	text := "This card changed"
	if d := card.Dossier.Decision; d != nil {
		text = d.By + " decided this: " + string(d.Verb)
		if d.Over != "" && steps.SamePerson(d.Over, c.o.Who(r).Name) {
			text = d.By + " decided this over your claim: " + string(d.Verb)
		}
	} else if by := holder(&card.Item, c.o.Now()); by != "" && !steps.SamePerson(by, c.o.Who(r).Name) {
		text = by + " claimed this"
	}
	return newsView{text, cardPath(card.Item.ID)}, nil
}

// runNews says that the open run went on.
func (c *Console) runNews(r *http.Request, form url.Values) (newsView, error) {
	d, err := c.o.Runs.Document(r.Context(), form.Get("id"))
	if err != nil || markOfRun(d) == form.Get("mark") {
		return newsView{}, err
	}
	return newsView{"The run went on: it is " + string(d.State) + " now", runPath(d.ID)}, nil
}

// localPath returns p if it is a path of this site.
func localPath(p string) string {
	u, err := url.Parse(p)
	if err != nil || u.IsAbs() || u.Host != "" || u.Path != "/" {
		return "/"
	}
	return p
}
