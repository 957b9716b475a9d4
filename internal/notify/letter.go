package notify

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// letter is what people read of a notice, as plain text without any markup. Every channel writes it in its own way.
type letter struct {
	Title string
	Facts []fact
	Quote string // from outside: people must see that it is quoted
	Link  string
}

type fact struct{ Name, Value string }

const stamp = "2006-01-02 15:04:05 UTC"

// letter writes a notice. Link is where people reach the console.
func (n *Notice) letter(link string) letter {
	if n.What == Trial {
		return letter{Title: "Belay can reach you here", Link: link,
			Facts: []fact{{"Note", "Somebody tries this channel. Nothing waits for you."}}}
	}
	return letter{Title: n.title(), Facts: n.facts(), Quote: clean(n.Message, longestMessage), Link: n.link(link)}
}

// link leads to the card of the oldest item, which shows those like it, and in a storm to the list of all.
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

// what is the occasion in words: of several groups at once it is not "like this".
func (n *Notice) what() What {
	if n.What == More && n.Groups > 1 {
		return Opened
	}
	return n.What
}

// inAll is how many wait, where that is more than what the notice is about.
func (n *Notice) inAll() string {
	if n.Waiting <= n.Count {
		return ""
	}
	return strconv.Itoa(n.Waiting)
}

// matter says what it is about.
func (n *Notice) matter() string {
	if n.Groups > 1 {
		return fmt.Sprintf("questions to people, in %d kinds", n.Groups)
	}
	tool, workflow := line(n.Tool, longestWord), line(n.Workflow, longestWord)
	switch {
	case n.Kind == "dead_letter":
		return "a message that cannot be read"
	case tool == "" && workflow == "":
		return "a question to people"
	case tool == "":
		return asked(n.Kind) + workflow
	case workflow == "":
		return asked(n.Kind) + tool
	}
	return asked(n.Kind) + tool + " in " + workflow
}

// asked is what each kind of escalation asks of people.
func asked(kind string) string {
	switch kind {
	case "approval":
		return "approval needed for "
	case "failure":
		return "failed for good: "
	case "unknown":
		return "nobody knows whether it acted: "
	case "question":
		return "a question from "
	case "deadline":
		return "ran out of time: "
	}
	return "a question to people from "
}

func (n *Notice) facts() []fact {
	all := []fact{
		{"About", line(n.Summary, longestSummary)},
		{"Step", line(n.Step, longestWord)}, {"Fault", line(n.Class, longestWord)}, {"Waiting since", written(n.Opened)},
		{"Deadline", n.deadline()}, {"Deadline passed", n.passed()}, {"Escalations", n.ids()}, {"Waiting in all", n.inAll()},
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

// passed is of how many the deadline passed, where it is not all of them.
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

// text is the letter in plain text, for those who can show nothing else.
func (l *letter) text() string {
	var b strings.Builder
	for _, f := range l.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	if l.Quote != "" {
		b.WriteString("\n> " + strings.ReplaceAll(l.Quote, "\n", "\n> ") + "\n")
	}
	return b.String()
}
