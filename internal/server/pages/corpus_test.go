package pages_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"belay/internal/handoff"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// payloads are what a model, a tool or a user may write to make a page lie.
var payloads = map[string]string{
	"element":     `<script>alert(1)</script><img src=x onerror=alert(1)>`,
	"attribute":   `" onmouseover="alert(1)" autofocus x="`,
	"single":      `' onclick='alert(1)' x='`,
	"close all":   `</textarea></pre></title></style></script></select><h1>Approved</h1><form action=//evil.example><button>`,
	"comment":     `--><svg onload=alert(1)><!--`,
	"template":    `{{.Person}}{{template "layout" .}}`,
	"link":        `javascript:alert(1)`,
	"data link":   `data:text/html,<script>alert(1)</script>`,
	"htmx":        `<div hx-get="/x" hx-trigger="load" data-hx-on:load="alert(1)">`,
	"ANSI":        "\x1b[2J\x1b[31mApproved\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
	"bidi":        "amount \u202e00.9\u202c \u2066\u2069\u200f\u061c",
	"zero width":  "pay\u200bpal\u2060\ufeff\u00ad",
	"tags":        "ok\U000e0041\U000e0042 \U000e0101",
	"homoglyph":   "pаypal.com Αnn",
	"null":        "a\x00b\x7f\u0085\u009b31m",
	"not UTF-8":   "a\xff\xfeb",
	"entities":    `&lt;script&gt;&#60;b&#62;&amp;`,
	"separators":  "a\u2028b\u2029c\rd",
	"long":        strings.Repeat("0123456789", 400),
	"many marks":  "Z" + strings.Repeat("\u0353\u0321", 40),
	"css":         `</style><style>*{display:none}</style>`,
	"nested JSON": `{"__proto__":{"x":1},"</script>":"<b>"}`,
}

// fill puts text into every string, and every JSON text, that v holds, and one element into every empty list or map.
func fill(v reflect.Value, text string, skip func(field string) bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text, skip)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() && !skip(v.Type().Field(i).Name) {
				fill(v.Field(i), text, skip)
			}
		}
	case reflect.Slice:
		fillSlice(v, text, skip)
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.ValueOf(map[string]string{text: text}))
		}
	case reflect.String:
		v.SetString(text)
	}
}

func fillSlice(v reflect.Value, text string, skip func(string) bool) {
	if v.Type() == reflect.TypeFor[json.RawMessage]() {
		v.SetBytes(document(text))
		return
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return
	}
	if v.Len() == 0 {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	}
	for i := range v.Len() {
		fill(v.Index(i), text, skip)
	}
}

// document has the text as a name, as a text, and nested.
func document(text string) json.RawMessage {
	doc, err := json.Marshal(map[string]any{text: text, "n": map[string]any{text: []string{text}}})
	if err != nil {
		panic(err)
	}
	return doc
}

// poisoned is a card whose every string is the text, but for the few that a page must know to be the card.
func poisoned(kind steps.EscalationKind, text string) handoff.Card {
	card := everything(kind)
	keep := []string{"ID", "Kind", "State", "Verb", "Action", "Schema", "Fingerprint", "SideEffect", "Effects", "OnExpiry", "Fate", "Next", "RunState"}
	fill(reflect.ValueOf(&card).Elem(), text, func(field string) bool { return slices.Contains(keep, field) })
	return card
}

// settled stands for a failure that is decided already.
const settled steps.EscalationKind = "settled"

// everything is a card with all that a card can have.
func everything(kind steps.EscalationKind) handoff.Card {
	fault := &steps.Fault{Class: steps.Timeout, Status: 503, Message: "x", Detail: "x"}
	raw := json.RawMessage(`{"a":"x","n":{"a":["x"]}}`)
	later := noon.Add(time.Hour)
	card := view.Escalation{ID: pagestest.Refund, Kind: kind, State: steps.EscalationOpen, Run: "r", Workflow: "w", Step: "s", Tool: "t", Rung: "g", Class: steps.Timeout, Message: "m", Opened: noon, Deadline: &later, Target: "u"}
	d := view.Dossier{
		Escalation: card, Revision: 1, Input: raw, Labels: map[string]string{"a": "x"}, By: "b", Digest: "d",
		Plan:       []view.PlanLine{{Step: "s", Tool: "t", State: steps.StepHeld}, {Step: "s2", Tool: "t", State: steps.StepPending}},
		Done:       []view.DoneLine{{Step: "s", Tool: "t", Output: raw, SideEffect: steps.EffectsUnsafe, Key: "k", Rung: "g", Degraded: &steps.Degraded{Step: "s", Rung: "g", Cause: "c"}, AnswerBy: "b"}},
		Failing:    &view.Failing{Step: "s", Tool: "t", Rung: "g", Params: raw, Target: "u", Effects: steps.EffectsUnsafe, Key: "k"},
		Attempts:   []view.Attempt{{Rung: "g", Try: 1, State: steps.AttemptFailed, Class: steps.Timeout, Message: "m", Detail: "d", Worker: "w", Note: "n"}},
		FirstError: fault, LastError: fault,
		Approval:   &view.Approval{Digest: "d", Needed: 2, Given: []string{"b"}, NotSubmitter: true},
		Rejected:   []steps.Denial{{Escalation: "r-1", Step: "s", By: "b", Reason: "r", ReopenedBy: "b", ReopenedAs: "r"}},
		Suggestion: &view.Suggestion{Verb: steps.VerbRetry, Ground: "g"},
		Offers: []view.Offer{
			{Verb: steps.VerbApprove, Effect: "e"}, {Verb: steps.VerbEdit, Effect: "e", Schema: json.RawMessage(`{"properties":{"a":{"type":"string","description":"x"}}}`)},
			{Verb: steps.VerbAnswer, Effect: "e"}, {Verb: steps.VerbRetry, Effect: "e", Grave: true}, {Verb: steps.VerbSkip, Effect: "e"},
		},
	}
	d.Agent = everyAgent()
	if kind == steps.KindLimit {
		d.Offers = []view.Offer{{Verb: steps.VerbExtend, Effect: "e", Schema: json.RawMessage(`{"properties":{"turns":{"type":"integer","default":3,"description":"x"}}}`)}, {Verb: steps.VerbFinish, Effect: "e"}, {Verb: steps.VerbAnswer, Effect: "e"}}
	}
	if kind == steps.KindQuestion {
		d.Question = &view.Question{Text: "q", Options: []string{"o", "p"}}
	}
	if kind == settled {
		card.Kind, card.State = steps.KindFailure, steps.EscalationDecided
		card.Decision = &steps.Decided{Verb: steps.VerbEdit, By: "b", Reason: "r", Params: raw, Answer: raw}
		d.Escalation = card
		d.Followed = &view.Aftermath{Fate: view.FateOther, Text: "t", Next: pagestest.Shipment, Step: "s", Message: "m"}
	}
	item := handoff.Item{Escalation: card, Fingerprint: "f", Beside: handoff.Beside{Claim: &handoff.Claim{By: "b", Until: later}, Assigned: "a", Notes: []handoff.Note{{By: "b", At: noon, Text: "n"}}}}
	return handoff.Card{Item: item, Dossier: d, Trail: []handoff.TrailLine{{At: noon, By: "b", Via: "cli", Action: "claim", Reason: "r", Detail: raw}}}
}

// everyAgent is an agent with all that an agent can have.
func everyAgent() *view.Agent {
	raw := json.RawMessage(`{"a":"x"}`)
	decided := []view.Asked{{ID: "r-1", Kind: steps.KindApproval, State: steps.EscalationDecided, Verb: steps.VerbEdit, By: "b", Reason: "r", Message: "m"}}
	open := []view.Asked{{ID: pagestest.Shipment, Kind: steps.KindApproval, State: steps.EscalationOpen}}
	return &view.Agent{
		Step: "s", Model: "m", State: steps.StepRunning, Instructions: "i", Prompt: "p", Earlier: 1, People: decided,
		Summaries: []view.AgentSummary{
			{Step: "s~s1", Number: 1, State: steps.StepSucceeded, Rung: "g", Upto: 3, Missing: 1, Text: "t", Read: true, Degraded: "d", AnswerBy: "b", People: decided, Took: 1e9, Tokens: 5, Cost: 1e9},
			{Step: "s~s2", Number: 2, State: steps.StepFailed, Rung: "g", After: 1, Upto: 4, Text: "t", Class: steps.Timeout, Message: "m"},
		},
		Turns: []view.AgentTurn{{Step: "s~t1", Number: 1, State: steps.StepFailed, Rung: "g", Said: "said", Wrong: "w", Degraded: "d", AnswerBy: "b", Class: steps.Timeout, Message: "m", People: decided,
			Calls: []view.AgentCall{
				{Step: "s~t1.1", Tool: "t", Arguments: raw, Changed: raw, State: steps.StepFailed, Rung: "g", Result: "r", Failed: true, Degraded: "d", AnswerBy: "b", People: decided},
				{Step: "s~t1.2", Tool: "t", Arguments: raw, Changed: raw, State: steps.StepHeld, Rung: "g", Result: strings.Repeat("r", 200), Degraded: "d", People: open},
			}}},
	}
}

// skeleton is what a page is made of: each element with the names of its attributes, and the addresses it leads to. The
// marks of odd characters are left out: they are made of text alone.
func skeleton(t *testing.T, page string) map[string]bool {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			found["a comment: "+n.Data] = true
		}
		if n.Type != html.ElementNode || n.Data == "mark" && isOddMark(n) {
			continue
		}
		var names []string
		for _, a := range n.Attr {
			name := a.Key
			if a.Key == "href" || a.Key == "src" || a.Key == "action" {
				name += "=" + shape(a.Val)
			}
			names = append(names, name)
		}
		slices.Sort(names)
		found[n.Data+" "+strings.Join(names, " ")] = true
	}
	return found
}

func isOddMark(n *html.Node) bool {
	for c := range n.ChildNodes() {
		if c.Type != html.TextNode {
			return false
		}
	}
	return len(n.Attr) == 2 && n.Attr[0].Key == "class" && strings.HasPrefix(n.Attr[0].Val, "odd") && n.Attr[1].Key == "title"
}

// shape is an address without what names the thing behind it: outside text may be a part of a path, never more.
func shape(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" {
		return "FOREIGN " + address
	}
	if strings.HasPrefix(u.Path, "/runs/") {
		return "/runs/…"
	}
	return u.Path
}

// shownText is all text of a page that a reader sees.
func shownText(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

// poisonedPages are the pages that show a question.
func poisonedPages() []string {
	return []string{"/", "/e/ID", "/e/ID/approve", "/e/ID/edit", "/e/ID/edit?as=json", "/e/ID/answer", "/e/ID/assign", "/?group=f"}
}

// Whatever stands in the strings of a question, its pages have no element, attribute or address that those of a
// harmless one lack, and no character that nobody sees.
func TestNothingFromOutsideBecomesPartOfAPage(t *testing.T) {
	t.Parallel()
	harmlessTexts := []string{
		"harmless",
		strings.Repeat("harmless ", 444), // long texts are folded
		`{"harm":"less"}`,                // a text that looks like JSON is marked as a text
		"harm\x01less",                   // what cannot be seen is edited as JSON
	}
	s := newSite(t, pagestest.Empty(clock))
	for _, kind := range []steps.EscalationKind{steps.KindApproval, steps.KindFailure, steps.KindQuestion, steps.KindLimit, settled} {
		harmless := map[string]bool{}
		for _, text := range harmlessTexts {
			maps.Copy(harmless, skeletons(s, kind, text))
		}
		for name, text := range payloads {
			for what := range skeletons(s, kind, text) {
				if !harmless[what] {
					t.Errorf("%s, %s: a page has %s", kind, name, what)
				}
			}
		}
	}
}

// skeletons are those of all pages of a question, each part with the page that has it.
func skeletons(s *site, kind steps.EscalationKind, text string) map[string]bool {
	t := s.T
	t.Helper()
	s.world.Put(poisoned(kind, text))
	found := map[string]bool{}
	for _, path := range poisonedPages() {
		a := s.get(strings.ReplaceAll(path, "ID", pagestest.Refund))
		if a.status >= http.StatusInternalServerError || strings.Contains(a.body, "ZgotmplZ") {
			t.Fatalf("%s: %d %.300s", path, a.status, a.body)
		}
		if r := hiddenRune(shownText(t, a.body)); r != 0 {
			t.Errorf("%s shows %U as it is", path, r)
		}
		for what := range skeleton(t, a.body) {
			found[path+" "+what] = true
		}
	}
	return found
}

// hiddenRune is a character of text that no reader sees; 0 when there is none.
func hiddenRune(text string) rune {
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t':
		case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r >= 0xe0000:
			return r
		}
	}
	return 0
}

func TestRunsAndProblemsShowOutsideTextToo(t *testing.T) {
	t.Parallel()
	for name, text := range payloads {
		w := pagestest.Morning(clock)
		id := pagestest.Shipment[:len(pagestest.Shipment)-2]
		d, _ := w.Document(t.Context(), id)
		d.Agents = []view.Agent{*everyAgent()}
		w.PutRun(d)
		harmless := skeleton(t, newSite(t, w).get("/runs/"+id).body)
		fill(reflect.ValueOf(&d.Agents).Elem(), text, func(f string) bool { return f == "State" || f == "ID" || f == "Verb" || f == "MayNotSteer" })
		fill(reflect.ValueOf(&d.Steps).Elem(), text, func(f string) bool { return f == "State" || f == "Class" || f == "Output" })
		w.PutRun(d)
		for what := range skeleton(t, newSite(t, w).get("/runs/"+id).body) {
			if !harmless[what] {
				t.Errorf("%s: the run's page has %s", name, what)
			}
		}
		wave := pagestest.Wave(2, 1)
		w.PutRedrive(wave)
		harmless = skeleton(t, newSite(t, w).get("/redrives/wave").body)
		wave.By, wave.Reason, wave.StoppedBy = text, text, text
		wave.Items[0] = handoff.RedriveResult{ID: wave.Items[0].ID, Result: handoff.ItemRefused, Detail: text}
		wave.Items[1] = handoff.RedriveResult{ID: wave.Items[1].ID, Result: string(view.FateFailed), Step: text, Detail: text}
		w.PutRedrive(wave)
		page := newSite(t, w).get("/redrives/wave").body
		if r := hiddenRune(shownText(t, page)); r != 0 {
			t.Errorf("%s: a redrive shows %U as it is", name, r)
		}
		for what := range skeleton(t, page) {
			if !harmless[what] {
				t.Errorf("%s: a redrive's page has %s", name, what)
			}
		}
		w.Break(fmt.Errorf("cannot read %s", text))
		problem := skeleton(t, newSite(t, w).get("/").body)
		if len(problem) == 0 || problem["script "] || problem["h1 "] != true {
			t.Errorf("%s: %v", name, problem)
		}
	}
}
