package manual

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

//go:embed page.html
var pageTemplate string

//go:embed style.css
var style []byte

//go:embed icon.svg
var icon []byte

var layout = template.Must(template.New("page").Parse(pageTemplate))

// heading is one that the contents of a page list.
type heading struct{ ID, Text string }

// shown is what the layout shows.
type shown struct {
	Title   string
	Page    *Page // nil for what is none
	Body    template.HTML
	Outline []Group
	Inside  []heading // second-level headings
	Home    string    // path of the console; empty for a program without one
}

// renderer makes HTML of Markdown. What a page says is ours; raw HTML is left out all the same.
func renderer(page, published string) (goldmark.Markdown, *[]heading) {
	found := &[]heading{}
	return goldmark.New(
		goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(&mender{page, published, found}, 100))),
	), found
}

// mender gives headings their anchors and links their targets.
type mender struct {
	page      string // whose links are looked at
	published string
	found     *[]heading
}

// Transform implements parser.ASTTransformer.
func (m *mender) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	used, links := map[string]bool{}, []*ast.Link(nil)
	_ = ast.Walk(doc, func(n ast.Node, enters bool) (ast.WalkStatus, error) { // it returns no error
		switch n := n.(type) {
		case *ast.Heading:
			if enters {
				m.heading(n, reader.Source(), used)
			}
		case *ast.Link:
			if enters {
				links = append(links, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, l := range links {
		m.link(l)
	}
}

func (m *mender) heading(h *ast.Heading, source []byte, used map[string]bool) {
	written := string(h.Lines().Value(source))
	slug := Anchor(written)
	for n := 1; used[slug]; n++ {
		slug = fmt.Sprintf("%s-%d", Anchor(written), n)
	}
	used[slug] = true
	h.SetAttributeString("id", []byte(slug))
	if h.Level == 1 {
		return
	}
	if h.Level == 2 {
		*m.found = append(*m.found, heading{slug, plain(written)})
	}
	mark := ast.NewLink()
	mark.Destination = []byte("#" + slug)
	mark.SetAttributeString("class", []byte("mark"))
	mark.SetAttributeString("aria-label", []byte("Link to this heading"))
	mark.AppendChild(mark, ast.NewString([]byte("#")))
	h.AppendChild(h, mark)
}

// link lets a link lead to where its target is served. One without a target becomes its text.
func (m *mender) link(l *ast.Link) {
	to := target(m.page, string(l.Destination), m.published)
	if to != "" {
		l.Destination = []byte(to)
		return
	}
	parent := l.Parent()
	for child := l.FirstChild(); child != nil; child = l.FirstChild() {
		parent.InsertBefore(parent, l, child)
	}
	parent.RemoveChild(parent, l)
}

// reachable lets a keyboard scroll what is wider than a phone, and makes no headings of empty cells. What a page says of
// tags is escaped, so these are none of it.
var reachable = strings.NewReplacer("<pre>", `<pre tabindex="0">`, "<table>", `<div class="scroll" tabindex="0"><table>`, "</table>", "</table></div>", "<th></th>", "<td></td>")

// render makes the HTML of a page.
func render(p *Page, home string) ([]byte, error) {
	markdown, inside := renderer(p.Name, published())
	var body bytes.Buffer
	if err := markdown.Convert([]byte(p.Text), &body); err != nil {
		return nil, err
	}
	return fill(shown{Title: p.Title, Page: p, Body: template.HTML(reachable.Replace(body.String())), Inside: *inside, Home: home})
}

func fill(s shown) ([]byte, error) {
	s.Outline = Outline()
	var page bytes.Buffer
	if err := layout.Execute(&page, s); err != nil {
		return nil, err
	}
	return page.Bytes(), nil
}
