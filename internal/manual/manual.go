// Package manual is the manual in the programs: its pages as HTML under /docs, as text for language models, and for
// `dispatcher docs`. The pages themselves are in docs; the tests here execute or lint every block of them.
package manual

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"belay/docs"
)

// Page is a page of the manual.
type Page struct {
	Name     string // of the file below docs, without .md
	Title    string // its first line
	Sentence string // what the reader gets from it: the paragraph below the title, in one line
	Text     string // Markdown, without the comments that only tests read
}

// Group is a part of the manual.
type Group struct {
	Title string
	Pages []*Page
}

// outline is the order to read in. A page that is not in it comes last.
var outline = []struct {
	title string
	pages []string
}{
	{"Start here", []string{"index", "concepts", "tutorial"}},
	{"Write", []string{"plan", "prove", "drill", "tools", "models", "expressions", "faults", "findings", "executors", "mcp"}},
	{"From your program", []string{"go", "python", "typescript", "http", "agents-mcp", "protocol"}},
	{"People", []string{"people", "security", "passkeys", "grants", "permissions"}},
	{"Run it", []string{"running", "configuration", "cli", "metrics", "search", "gates", "breakers", "how-it-goes", "schedules", "faults-on-purpose", "runbook", "operating/install", "operating/upgrade", "operating/restore", "operating/capacity"}},
	{"What to count on", []string{"failures", "reliability", "performance", "limits"}},
	{"Coming from", []string{"from-temporal", "from-langgraph", "from-celery-asynq", "from-step-functions"}},
}

// Outline is the manual in the order to read it in.
var Outline = sync.OnceValue(func() []Group { return arrange(read(docs.Pages)) })

// Pages are all pages, in the order to read them in.
func Pages() (all []*Page) {
	for _, g := range Outline() {
		all = append(all, g.Pages...)
	}
	return all
}

// Find finds a page by its name, with or without its folder; nil for none.
func Find(name string) *Page {
	all := Pages()
	if i := slices.IndexFunc(all, func(p *Page) bool { return p.Name == name || path.Base(p.Name) == name }); i >= 0 {
		return all[i]
	}
	return nil
}

func read(files fs.FS) map[string]*Page {
	pages := map[string]*Page{}
	names, _ := fs.Glob(files, "*.md") // the patterns are valid
	below, _ := fs.Glob(files, "*/*.md")
	names = append(names, below...)
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(fmt.Sprintf("%s is embedded and cannot be read: %v", name, err))
		}
		p := parse(string(text))
		p.Name = strings.TrimSuffix(name, ".md")
		pages[p.Name] = p
	}
	return pages
}

func arrange(pages map[string]*Page) []Group {
	var all []Group
	placed := map[string]bool{}
	for _, o := range outline {
		g := Group{Title: o.title}
		for _, name := range o.pages {
			if p := pages[name]; p != nil {
				g.Pages = append(g.Pages, p)
				placed[name] = true
			}
		}
		if len(g.Pages) > 0 {
			all = append(all, g)
		}
	}
	rest := Group{Title: "More"}
	for name, p := range pages {
		if !placed[name] {
			rest.Pages = append(rest.Pages, p)
		}
	}
	if len(rest.Pages) > 0 {
		slices.SortFunc(rest.Pages, func(a, b *Page) int { return strings.Compare(a.Name, b.Name) })
		all = append(all, rest)
	}
	return all
}

// parse reads a page: its title, the paragraph below it, and all but comments.
func parse(text string) *Page {
	p := &Page{Text: withoutComments(text)}
	head, rest, _ := strings.Cut(p.Text, "\n")
	p.Title = strings.TrimSpace(strings.TrimPrefix(head, "#"))
	paragraph, _, _ := strings.Cut(strings.TrimSpace(rest), "\n\n")
	p.Sentence = plain(strings.Join(strings.Fields(paragraph), " "))
	return p
}

// withoutComments leaves out comments that begin a line outside blocks, and the blank line behind each.
func withoutComments(text string) string {
	var kept strings.Builder
	ticks, comment, skip := "", false, false
	for l := range strings.Lines(text) {
		start := strings.TrimLeft(l, " ")
		if fence := fenceOf(start); !comment && fence != "" && (ticks == "" || strings.TrimSpace(start) == ticks) {
			if ticks == "" {
				ticks = fence
			} else {
				ticks = ""
			}
		}
		if ticks == "" && strings.HasPrefix(l, "<!--") {
			comment = true
		}
		switch {
		case comment:
			comment = !strings.Contains(l, "-->")
			skip = true
		case skip && strings.TrimSpace(l) == "":
			skip = false
			if !strings.HasSuffix(kept.String(), "\n\n") {
				kept.WriteString(l)
			}
		default:
			skip = false
			kept.WriteString(l)
		}
	}
	return kept.String()
}

// fenceOf is the backquotes that a line begins with, if it may open or close a block.
func fenceOf(line string) string {
	n := len(line) - len(strings.TrimLeft(line, "`"))
	if n < 3 {
		return ""
	}
	return line[:n]
}

var (
	linked = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	marks  = strings.NewReplacer("**", "", "`", "", "*", "")
)

// plain is Markdown text without links and marks.
func plain(text string) string { return marks.Replace(linked.ReplaceAllString(text, "$1")) }

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// Anchor is the id of a heading with this text, the same as on GitHub.
func Anchor(heading string) string {
	text := linked.ReplaceAllString(heading, "$1")
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
}

// Index is the list of all pages as Markdown, each with its sentence: llms.txt.
func Index() string {
	var text strings.Builder
	text.WriteString("# Belay\n\n> " + promise + "\n")
	for _, g := range Outline() {
		text.WriteString("\n## " + g.Title + "\n\n")
		for _, p := range g.Pages {
			fmt.Fprintf(&text, "- [%s](/docs/%s.md): %s\n", p.Title, p.Name, p.Sentence)
		}
	}
	text.WriteString("\nAll pages in one: [llms-full.txt](/llms-full.txt)\n")
	return text.String()
}

// promise is what Belay is, in a line.
const promise = "Belay runs the steps of AI agents so that they fail safely: what fails is retried, then goes down a ladder of fallbacks, " +
	"and what no machine can finish waits for a person with the whole context."

// Whole is every page, one after the other.
func Whole() string {
	var text strings.Builder
	for _, p := range Pages() {
		fmt.Fprintf(&text, "<!-- /docs/%s.md -->\n\n%s\n", p.Name, strings.TrimRight(p.Text, "\n")+"\n")
	}
	return text.String()
}
