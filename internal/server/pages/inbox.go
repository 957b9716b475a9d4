package pages

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
)

const groupPeek = 5 // items that the line of a group unfolds

// inboxView is the list of what needs people.
type inboxView struct {
	Lines     []line
	Total     int // items, not lines
	Snoozed   int
	Query     string
	TakenOver []takenOverView
	Group     *groupView // when one group is shown item by item
	Pages     pages
}

// line is one item, or a group of items that are alike.
type line struct {
	head           // of the item, the first one of a group
	What    string // what is at stake, or what is asked
	Outside bool   // What is outside text
	Asks    string // what is asked, if What says what is at stake
	Where   string // workflow and step
	Why     string // outside text
	How     string // how the items of a group differ; outside text
	Holder  string
	Mine    bool
	Count   int
	Group   string // path of the whole group; empty for a single item
	Alike   bool   // its items can be redriven
	Members []line // the first of them
}

// takenOverView is what another person did about an escalation that the reader had claimed.
type takenOverView struct {
	Short, Path, By, Did string
	At                   moment
}

func takenOverBy(news []handoff.TakenOver, now time.Time) (list []takenOverView) {
	for _, t := range news {
		list = append(list, takenOverView{shortID(t.ID), cardPath(t.ID), t.By, t.Did, at(t.At, now)})
	}
	return list
}

type groupView struct {
	Fingerprint string
	What        string
	Spread      string // how its items differ; outside text
	Why         string // why all of them were opened; outside text
	Actions     []redriveChoice
}

func (c *Console) inbox(w http.ResponseWriter, r *http.Request) {
	items, err := c.o.Desk.Items(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := makeInbox(items, r.URL.Query(), c.o.Who(r), c.o.Now())
	news, err := c.o.Desk.TakenOver(r.Context(), c.o.Who(r).Name)
	if err != nil {
		c.o.Logger.DebugContext(r.Context(), "cannot show what others decided over a claim", "error", err)
	}
	v.TakenOver = takenOverBy(news, c.o.Now())
	title := "Needs you"
	if v.Total > 0 {
		title += " (" + strconv.Itoa(v.Total) + ")"
	}
	c.show(w, r, http.StatusOK, "inbox", page{Title: title, Nav: "inbox", News: newsOf(items, r.URL.Query()), Body: v})
}

// makeInbox makes one page of the list. It works on 10,000 items, so only the lines of the page are written out.
func makeInbox(items []handoff.Item, form url.Values, p people.Actor, now time.Time) inboxView {
	v := inboxView{Query: strings.TrimSpace(form.Get("q"))}
	group := form.Get("group")
	found := pick(items, parseQuery(v.Query), group, now)
	v.Total, v.Snoozed = len(found), countSnoozed(items, now)
	lines := bundle(found, group != "")
	v.Pages = paging(form, len(lines))
	page := lines[v.Pages.first:v.Pages.To]
	if group != "" && len(found) > 0 {
		alike := likenessOf(found)
		v.Group = &groupView{group, what(found[0].Escalation), spread(found, alike.names), "", redriveChoices(found, p)}
		if alike.message {
			v.Group.Why = why(found[0])
		}
		for _, l := range page {
			v.Lines = append(v.Lines, oneOf(l[0], alike, p, now))
		}
		return v
	}
	for _, l := range page {
		v.Lines = append(v.Lines, writeLine(l, p, now))
	}
	return v
}

func pick(items []handoff.Item, q query, group string, now time.Time) []*handoff.Item {
	found := make([]*handoff.Item, 0, len(items))
	for i := range items {
		it := &items[i]
		if (group == "" || it.Fingerprint == group) && q.matches(it, now) {
			found = append(found, it)
		}
	}
	return found
}

func countSnoozed(items []handoff.Item, now time.Time) int {
	n := 0
	for i := range items {
		if isSnoozed(&items[i], now) {
			n++
		}
	}
	return n
}

// bundle puts alike items on one line, at the place of the most urgent one.
func bundle(found []*handoff.Item, apart bool) [][]*handoff.Item {
	lines := make([][]*handoff.Item, 0, len(found))
	at := make(map[string]int)
	for _, it := range found {
		if apart || it.Fingerprint == "" || !groupedKind(it.Kind) {
			lines = append(lines, []*handoff.Item{it})
			continue
		}
		key := string(it.Kind) + " " + it.Fingerprint
		if n, ok := at[key]; ok {
			lines[n] = append(lines[n], it)
			continue
		}
		at[key] = len(lines)
		lines = append(lines, []*handoff.Item{it})
	}
	return lines
}

// alikeKind reports whether items of this kind can be redriven. An approval is for exactly its own parameters, and a
// question has its own text.
func alikeKind(k steps.EscalationKind) bool {
	return k != steps.KindApproval && k != steps.KindQuestion && k != steps.KindDeadLetter
}

// writeLine writes the line of an item, or of a group: how its items differ.
func writeLine(items []*handoff.Item, p people.Actor, now time.Time) line {
	l := writeItem(items[0], p, now)
	l.Count = len(items)
	if len(items) == 1 {
		l.stake(summaryOf(items[0].Escalation))
		return l
	}
	l.Group, l.Alike = "/?group="+url.QueryEscape(items[0].Fingerprint), alikeKind(items[0].Kind)
	alike := likenessOf(items)
	l.How = spread(items, alike.names)
	if l.Kind == steps.KindApproval && l.How != "" {
		l.Why = "" // each card names its own rule
	}
	for _, it := range items[:min(groupPeek, len(items))] {
		l.Members = append(l.Members, oneOf(it, alike, p, now))
	}
	return l
}

func writeItem(it *handoff.Item, p people.Actor, now time.Time) line {
	l := line{
		head: headOf(it.Escalation, now), What: what(it.Escalation), Why: why(it),
		Where: cmp.Or(it.Workflow, "run "+tail(it.Run)), Holder: holder(it, now), Count: 1,
	}
	if it.Step != "" {
		l.Where += " › " + it.Step
	}
	l.Mine = l.Holder != "" && steps.SamePerson(l.Holder, p.Name)
	return l
}

// why says why an item was opened, for a list; the text of a question is its line already.
func why(it *handoff.Item) string {
	if it.Kind == steps.KindQuestion {
		return ""
	}
	if it.Approved != "" {
		return it.Approved + ": " + cut(it.Message, 160)
	}
	return cut(it.Message, 160)
}

// next redirects to the first open item that nobody else has claimed.
func (c *Console) next(w http.ResponseWriter, r *http.Request) {
	items, err := c.o.Desk.Items(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	now, me := c.o.Now(), c.o.Who(r).Name
	for i := range items {
		by := holder(&items[i], now)
		if (by == "" || steps.SamePerson(by, me)) && !isSnoozed(&items[i], now) {
			http.Redirect(w, r, cardPath(items[i].ID), http.StatusSeeOther)
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func cardPath(id string) string { return "/e/" + url.PathEscape(id) }
