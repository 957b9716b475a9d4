package notify

import (
	"context"
	"encoding/json"
	"strings"
)

// slack posts to an incoming webhook as Slack has them; Mattermost and Discord (its URL with /slack behind it) take the
// same, and show the plain text where Slack shows blocks. There is a link and no action: whatever scans messages for
// links presses buttons too.
type slack struct {
	poster
	link string
}

func newSlack(target, link string) *slack { return &slack{newPoster(target), link} }

func (s *slack) Send(ctx context.Context, n Notice) error {
	l := n.letter(s.link)
	body, err := json.Marshal(slackMessage{Text: fallback(l), Blocks: blocks(l)})
	if err != nil {
		return permanent("write message: %w", err)
	}
	return s.post(ctx, body, nil)
}

type slackMessage struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string         `json:"type"`
	Text     *slackText     `json:"text,omitempty"`
	Elements []slackElement `json:"elements,omitempty"`
}

// slackText is always plain_text, in which nothing is markup.
type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackElement struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
	URL  string    `json:"url"`
}

// Slack refuses the whole message for a text that is longer, in characters.
const (
	longestHeader  = 150
	longestSection = 3000
)

func blocks(l letter) []slackBlock {
	var facts []string
	for _, f := range l.Facts {
		facts = append(facts, f.Name+": "+f.Value)
	}
	all := []slackBlock{
		{Type: "header", Text: plainText(l.Title, longestHeader)},
		{Type: "section", Text: plainText(strings.Join(facts, "\n"), longestSection)},
	}
	if l.Quote != "" {
		all = append(all, slackBlock{Type: "section", Text: plainText("“"+l.Quote+"”", longestSection)})
	}
	open := slackElement{Type: "button", Text: slackText{"plain_text", "Open in Belay"}, URL: l.Link}
	return append(all, slackBlock{Type: "actions", Elements: []slackElement{open}})
}

// plainText cuts before it escapes: half an entity would be shown as such.
func plainText(s string, most int) *slackText {
	for room := most; ; room = room * 3 / 4 {
		if text := escaped(clean(s, room-1)); len([]rune(text)) <= most {
			return &slackText{"plain_text", text}
		}
	}
}

// fallback is markup in some programs. What comes from outside stands between fences, where it is none.
func fallback(l letter) string {
	var b strings.Builder
	b.WriteString(escaped(l.Title) + "\n")
	for _, f := range l.Facts {
		b.WriteString(escaped(f.Name+": "+f.Value) + "\n")
	}
	if l.Quote != "" {
		b.WriteString("```\n" + strings.ReplaceAll(escaped(l.Quote), "`", "'") + "\n```\n")
	}
	b.WriteString(l.Link)
	return b.String()
}

// escaped keeps <!channel> and the like from being commands. An @ gets an invisible space behind it, since not every
// program needs the angle brackets to call everybody.
func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u200b").Replace(s)
}
