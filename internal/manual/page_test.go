package manual_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"belay/internal/manual"
)

// page is a document with what the tests look at.
type page struct {
	name     string // what its test is called: tutorial, README, clients-python
	path     string // below the project, with slashes
	blocks   []*block
	headings []heading
	prose    []line // everything outside blocks and comments
	story    bool   // its blocks are executed in order, in one directory
	sentence string // what stands under the title
	problems []problem
}

// line is a line of prose.
type line struct {
	at   int // from 1
	text string
}

type heading struct {
	line
	level int
}

// block is a fenced block, or a comment that is one for the tests alone.
type block struct {
	page  *page
	at    int               // line of its fence, from 1
	kind  string            // first word of its info string
	words []string          // what follows it
	keys  map[string]string // what follows it as key=value
	text  string
	shown bool     // false in a comment
	about string   // text of the comment that stands right above it
	next  *block   // the next block of the page, if only blank lines are between
	lines []string // of text
}

func (b *block) has(word string) bool { return slices.Contains(b.words, word) }

// problem is something wrong on a line of a page.
type problem struct {
	page *page
	at   int
	text string
}

func (p problem) String() string { return fmt.Sprintf("%s:%d: %s", p.page.path, p.at, p.text) }

func (b *block) wrong(format string, args ...any) problem {
	return problem{b.page, b.at, fmt.Sprintf(format, args...)}
}

// wrongAt is about a line of the block, from 1.
func (b *block) wrongAt(n int, format string, args ...any) problem {
	return problem{b.page, b.at + n, fmt.Sprintf(format, args...)}
}

// root is the project's folder.
var root = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// pages are the manual and the other documents that show commands or code.
func pages(t *testing.T) []*page {
	t.Helper()
	var all []*page
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "*.md", "clients/*/README.md", "bench/README.md", "skills/*/SKILL.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			path, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, parsePage(filepath.ToSlash(path), string(text)))
		}
	}
	return all
}

func nameOf(path string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(path, "docs/"), ".md")
	name = strings.TrimSuffix(name, "/README")
	return strings.ReplaceAll(name, "/", "-")
}

var (
	fence       = regexp.MustCompile("^( {0,3})(`{3,})\\s*([^`]*)$")
	title       = regexp.MustCompile(`^(#{1,6}) +(.*?)(?: +#+)?$`)
	listItem    = regexp.MustCompile(`^\s*(?:[-*+]|\d+[.)]) `)
	keyValue    = regexp.MustCompile(`^([a-z]+)=(.+)$`)
	oneLine     = regexp.MustCompile(`^(sh|go): (.*)$`)
	hiddenBlock = regexp.MustCompile(`^(sh|go|file)\b`)
)

// pageReader reads a page line by line.
type pageReader struct {
	*page
	lines []string
	i     int    // index of the line that is read
	above string // text of a comment, until something else but a blank line comes
	last  *block // until something else but a blank line comes
}

func parsePage(path, text string) *page {
	r := &pageReader{page: &page{name: nameOf(path), path: path}, lines: strings.Split(text, "\n")}
	first := r.frontMatter()
	for r.i < len(r.lines) {
		r.read(r.lines[r.i])
	}
	if len(r.headings) == 0 || r.headings[0].level != 1 || r.headings[0].at != first {
		r.problems = append(r.problems, problem{r.page, 1, "a page begins with `# Title`"})
	}
	return r.page
}

// frontMatter skips what stands before the title between two lines of dashes, as a skill has it, and returns the line of
// the title.
func (r *pageReader) frontMatter() int {
	if end := slices.Index(r.lines[1:], "---"); r.lines[0] == "---" && end >= 0 {
		r.i = end + 2
	}
	return r.i + 1
}

func (r *pageReader) read(text string) {
	switch {
	case fence.MatchString(text):
		r.fenced(fence.FindStringSubmatch(text))
	case strings.HasPrefix(text, "<!--"):
		r.comment()
	default:
		r.outside(text)
		r.i++
	}
}

func (r *pageReader) outside(text string) {
	blank := strings.TrimSpace(text) == ""
	if strings.HasPrefix(text, "    ") && r.i > 0 && strings.TrimSpace(r.lines[r.i-1]) == "" && !r.inList() {
		r.problems = append(r.problems, problem{r.page, r.i + 1, "an indented block: nobody knows what it is; fence it and say so in its info string"})
	}
	if m := title.FindStringSubmatch(text); m != nil {
		r.headings = append(r.headings, heading{line{r.i + 1, m[2]}, len(m[1])})
	} else if !blank && r.sentence == "" && len(r.headings) == 1 {
		r.sentence = r.paragraph()
	}
	r.prose = append(r.prose, line{r.i + 1, text})
	if !blank {
		r.above, r.last = "", nil
	}
}

// paragraph is the one that begins at this line, as one line.
func (r *pageReader) paragraph() string {
	var words []string
	for _, text := range r.lines[r.i:] {
		if strings.TrimSpace(text) == "" {
			break
		}
		words = append(words, strings.Fields(text)...)
	}
	return strings.Join(words, " ")
}

// inList reports whether the line before the blank ones belongs to a list.
func (r *pageReader) inList() bool {
	for i := r.i - 1; i >= 0; i-- {
		if text := r.lines[i]; strings.TrimSpace(text) != "" {
			return listItem.MatchString(text) || strings.HasPrefix(text, "  ")
		}
	}
	return false
}

func (r *pageReader) fenced(m []string) {
	indent, ticks, start := m[1], m[2], r.i
	var body []string
	for r.i++; ; r.i++ {
		if r.i == len(r.lines) {
			r.problems = append(r.problems, problem{r.page, start + 1, "this block does not end"})
			break
		}
		if text := strings.TrimSpace(r.lines[r.i]); strings.HasPrefix(text, ticks) && strings.Trim(text, "`") == "" {
			r.i++
			break
		}
		body = append(body, strings.TrimPrefix(r.lines[r.i], indent))
	}
	r.add(start+1, m[3], body, true)
}

// comment reads a comment. One that begins with sh, go or file=NAME is a block that only the tests see.
func (r *pageReader) comment() {
	start := r.i
	for !strings.Contains(r.lines[r.i], "-->") {
		if r.i++; r.i == len(r.lines) {
			r.problems = append(r.problems, problem{r.page, start + 1, "this comment does not end"})
			return
		}
	}
	r.i++
	first, body := strings.TrimPrefix(r.lines[start], "<!--"), []string(nil)
	if r.i-start > 1 {
		body = r.lines[start+1 : r.i-1]
	}
	info := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(first), "-->"))
	switch m := oneLine.FindStringSubmatch(info); {
	case info == "story":
		r.story = true
	case hiddenBlock.MatchString(info) && r.i-start > 1:
		r.add(start+1, info, body, false)
	case m != nil && r.i-start == 1:
		r.add(start, m[1], []string{m[2]}, false) // its line is the comment's own
	default:
		r.above, r.last = info, nil
	}
}

func (r *pageReader) add(at int, info string, body []string, shown bool) {
	b := &block{page: r.page, at: at, keys: map[string]string{}, text: strings.Join(body, "\n") + "\n", lines: body, shown: shown, about: r.above}
	for i, word := range strings.Fields(info) {
		switch m := keyValue.FindStringSubmatch(word); {
		case m != nil:
			b.keys[m[1]] = m[2]
		case i == 0:
			b.kind = word
		default:
			b.words = append(b.words, word)
		}
	}
	if r.last != nil {
		r.last.next = b
	}
	r.blocks = append(r.blocks, b)
	r.above, r.last = "", b
	if !shown {
		r.last = nil
	}
}

// anchors are those of the headings, as GitHub and the served manual make them.
func (p *page) anchors() map[string]bool {
	all := map[string]bool{}
	for _, h := range p.headings {
		slug := manual.Anchor(h.text)
		for n := 1; all[slug]; n++ {
			slug = fmt.Sprintf("%s-%d", manual.Anchor(h.text), n)
		}
		all[slug] = true
	}
	return all
}
