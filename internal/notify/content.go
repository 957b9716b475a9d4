package notify

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// content is what people read in a notice, as plain text without markup. Each channel formats it in its own way.
type content struct {
	Title string
	Facts []fact
	Quote string // outside text: people must see that it is quoted
	Link  string
}

type fact struct{ Name, Value string }

const stamp = "2006-01-02 15:04:05 UTC"

// content returns what people read; link is the URL of the console.
func (n *Notice) content(link string) content {
	if n.What == Trial {
		return content{Title: "Belay can reach you here", Link: link,
			Facts: []fact{{"Note", "This is a test of the channel. Nothing is waiting for you."}}}
	}
	if n.Spike != nil {
		return n.spikeContent(link)
	}
	return content{Title: n.title(), Facts: n.facts(), Quote: clean(n.Message, longestMessage), Link: n.link(link)}
}

// link leads to the card of the oldest item, which links the others, or to the list if there are several groups.
func (n *Notice) link(base string) string {
	base = strings.TrimSuffix(base, "/")
	if n.Groups > 1 || len(n.IDs) == 0 {
		return base + "/"
	}
	return base + "/e/" + url.PathEscape(n.IDs[0])
}

func (n *Notice) title() string {
	var b strings.Builder
	b.WriteString(n.occasion())
	if n.Count > 1 && n.what() != More {
		fmt.Fprintf(&b, "%d × ", n.Count)
	}
	b.WriteString(n.matter())
	return b.String()
}

func (n *Notice) occasion() string {
	switch n.what() {
	case Expired:
		return "Deadline passed: "
	case Deadline:
		return "Deadline near: "
	case Returned:
		return "Waiting again: "
	case Reminder:
		return "Still waiting: "
	case More:
		return strconv.Itoa(n.Count) + " more like this: "
	}
	return ""
}

// what returns the occasion for the title: several groups at once are not "like this".
func (n *Notice) what() What {
	if n.What == More && n.Groups > 1 {
		return Opened
	}
	return n.What
}

// inAll is how many are waiting, if that is more than the notice is about.
func (n *Notice) inAll() string {
	if n.Waiting <= n.Count {
		return ""
	}
	return strconv.Itoa(n.Waiting)
}

// matter says what it is about.
func (n *Notice) matter() string {
	if n.Groups > 1 {
		return fmt.Sprintf("escalations in %d groups", n.Groups)
	}
	tool, workflow := line(n.Tool, longestWord), line(n.Workflow, longestWord)
	switch {
	case n.Kind == "dead_letter":
		return "a message that cannot be read"
	case tool == "" && workflow == "":
		return "an escalation"
	case tool == "":
		return asked(n.Kind) + workflow
	case workflow == "":
		return asked(n.Kind) + tool
	}
	return asked(n.Kind) + tool + " in " + workflow
}

// asked begins the title of each kind of escalation.
func asked(kind string) string {
	switch kind {
	case "approval":
		return "approval needed for "
	case "failure":
		return "failed: "
	case "unknown":
		return "outcome unknown: "
	case "question":
		return "a question from "
	case "deadline":
		return "ran out of time: "
	}
	return "an escalation from "
}

func (n *Notice) facts() []fact {
	all := []fact{
		{"About", line(n.Summary, longestSummary)},
		{"Step", line(n.Step, longestWord)}, {"Fault", line(n.Class, longestWord)}, {"Waiting since", written(n.Opened)},
		{"Deadline", n.deadline()}, {"Deadline passed", n.passed()}, {"Escalations", n.ids()}, {"Waiting in total", n.inAll()},
	}
	var said []fact
	for _, f := range all {
		if f.Value != "" {
			said = append(said, f)
		}
	}
	return said
}

func written(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stamp)
}

func (n *Notice) deadline() string {
	at := written(n.Deadline)
	if on := line(n.OnDeadline, longestWord); at != "" && on != "" {
		return at + ", then " + on
	}
	return at
}

// passed says how many deadlines have passed, if not all.
func (n *Notice) passed() string {
	if n.Expired == 0 || n.Expired == n.Count {
		return ""
	}
	return strconv.Itoa(n.Expired) + " of " + strconv.Itoa(n.Count)
}

func (n *Notice) ids() string {
	ids := make([]string, len(n.IDs))
	for i, id := range n.IDs {
		ids[i] = line(id, longestWord)
	}
	text := strings.Join(ids, ", ")
	if more := n.Count - len(ids); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// text is the content as plain text, for channels that show nothing else.
func (c *content) text() string {
	var b strings.Builder
	for _, f := range c.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	if c.Quote != "" {
		b.WriteString("\n> " + strings.ReplaceAll(c.Quote, "\n", "\n> ") + "\n")
	}
	return b.String()
}
