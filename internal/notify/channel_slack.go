package notify

import (
	"context"
	"encoding/json"
	"strings"
)

// slack posts to a Slack incoming webhook. Mattermost and Discord (with /slack after its URL) accept the same, and show the
// plain text instead of blocks. There is a link but no action, because programs that scan links press buttons too.
type slack struct {
	poster
	link string
}

func newSlack(target, link string) *slack { return &slack{newPoster(target), link} }

func (s *slack) Send(ctx context.Context, n Notice) error {
	l := n.content(s.link)
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

// slackText is always plain_text, which has no markup.
type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackElement struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
	URL  string    `json:"url"`
}

// The longest texts that Slack accepts, in characters: it refuses the whole message for a longer one.
const (
	longestHeader  = 150
	longestSection = 3000
)

func blocks(l content) []slackBlock {
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

// plainText cuts before it escapes, so that it never cuts an entity in half.
func plainText(s string, most int) *slackText {
	for room := most; ; room = room * 3 / 4 {
		if text := escaped(clean(s, room-1)); len([]rune(text)) <= most {
			return &slackText{"plain_text", text}
		}
	}
}

// fallback is the plain text, which some programs read as markup. Outside text is fenced, so that it is not.
func fallback(l content) string {
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

// escaped keeps <!channel> and the like from working as commands. An @ gets an invisible space after it, because some
// programs notify everybody even without the angle brackets.
func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u200b").Replace(s)
}
