package manual_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"belay/internal/manual"
)

func served(home string) http.Handler {
	return manual.Handler(home, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "elsewhere") }))
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

var (
	href    = regexp.MustCompile(`(?:href|src)="([^"]+)"`)
	id      = regexp.MustCompile(` id="([^"]+)"`)
	outside = regexp.MustCompile(`<(?:script|img|iframe|link)[^>]+(?:src|href)="https?:`)
)

// TestEveryLinkIsAnswered follows every link that the served manual has.
func TestEveryLinkIsAnswered(t *testing.T) {
	t.Parallel()
	h, ids, todo := served(""), map[string]map[string]bool{}, []string{"/docs", "/docs/index", "/llms.txt", "/llms-full.txt"}
	var fragments [][3]string
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		if ids[path] != nil {
			continue
		}
		ids[path] = map[string]bool{}
		w := get(h, path)
		body := w.Body.String()
		if w.Code != http.StatusOK {
			t.Errorf("%s is linked to and answered with %d", path, w.Code)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		if found := outside.FindString(body); found != "" {
			t.Errorf("%s loads something from outside: %s", path, found)
		}
		for _, m := range id.FindAllStringSubmatch(body, -1) {
			if ids[path][m[1]] {
				t.Errorf("%s has two elements with the id %s", path, m[1])
			}
			ids[path][m[1]] = true
		}
		for _, m := range href.FindAllStringSubmatch(body, -1) {
			to, fragment, _ := strings.Cut(html.UnescapeString(m[1]), "#")
			switch {
			case strings.Contains(to, "://"):
				continue
			case to == "":
				to = path
			case !strings.HasPrefix(to, "/"):
				t.Errorf("%s links to %s, which is relative", path, to)
				continue
			}
			if fragment != "" {
				fragments = append(fragments, [3]string{path, to, fragment})
			}
			todo = append(todo, to)
		}
	}
	for _, f := range fragments {
		if !ids[f[1]][f[2]] {
			t.Errorf("%s links to %s#%s, and there is no such place", f[0], f[1], f[2])
		}
	}
	if len(ids) < 12 {
		t.Errorf("only %d addresses were found", len(ids))
	}
}

func TestServed(t *testing.T) {
	t.Parallel()
	h := served("/")
	for _, c := range []struct {
		path, kind string
		code       int
		says       []string
	}{
		{"/docs", "text/html", 200, []string{"<title>", `href="/docs/people"`, `href="/">Console</a>`}},
		{"/docs/people", "text/html", 200, []string{"<h1 id=\"people\">People</h1>", `<a href="/docs/files/config/notify.yaml">`, `aria-current="page"`}},
		{"/docs/failures", "text/html", 200, []string{"<table>"}},
		{"/docs/people.md", "text/markdown", 200, []string{"# People\n", "```yaml tools"}},
		{"/docs/files/config/notify.yaml", "text/plain", 200, []string{"channels:"}},
		{"/docs/files/examples/shop/main.go", "text/plain", 200, []string{"package main"}},
		{"/docs/style.css", "text/css", 200, []string{"--ground"}},
		{"/docs/nowhere", "text/html", 404, []string{"There is no such page", `href="/docs/people"`}},
		{"/docs/nowhere.md", "text/html", 404, nil},
		{"/docs/files/examples/../../go.mod", "", 307, nil},
		{"/docs/files/go.mod", "text/html", 404, nil},
		{"/llms.txt", "text/plain", 200, []string{"# Belay\n\n> Belay runs", "- [People](/docs/people.md): "}},
		{"/llms-full.txt", "text/plain", 200, []string{"<!-- /docs/people.md -->\n\n# People\n", "# Runbook\n"}},
		{"/runs", "text/plain", 200, []string{"elsewhere"}},
		{"/", "text/plain", 200, []string{"elsewhere"}},
	} {
		w := get(h, c.path)
		if w.Code != c.code || !strings.HasPrefix(w.Header().Get("Content-Type"), c.kind) {
			t.Errorf("%s: %d, %s", c.path, w.Code, w.Header().Get("Content-Type"))
		}
		for _, s := range c.says {
			if !strings.Contains(w.Body.String(), s) {
				t.Errorf("%s does not say %q:\n%.2000s", c.path, s, w.Body)
			}
		}
		if strings.HasPrefix(c.path, "/docs") && c.code != 307 && !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: the policy is %q", c.path, w.Header().Get("Content-Security-Policy"))
		}
	}
	if body := get(served(""), "/docs").Body.String(); strings.Contains(body, "Console</a>") {
		t.Error("a program without a console offers one")
	}
	first := get(h, "/docs/people")
	r := httptest.NewRequest(http.MethodGet, "/docs/people", nil)
	r.Header.Set("If-None-Match", first.Header().Get("ETag"))
	again := httptest.NewRecorder()
	h.ServeHTTP(again, r)
	if again.Code != http.StatusNotModified {
		t.Errorf("the same page is sent again: %d", again.Code)
	}
}

// TestReadmeIsShort: it is a front door. What takes longer belongs into the manual.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n >= 120 {
		t.Errorf("README.md has %d lines; at most 119 are allowed", n)
	}
}

// TestOutline: every page has its place, is in the page that says what to read, and in README.
func TestOutline(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	index := manual.Find("index").Text
	for _, g := range manual.Outline() {
		for _, p := range g.Pages {
			if g.Title == "More" {
				t.Errorf("docs/%s.md is not in the outline in manual.go", p.Name)
			}
			if p.Name != "index" && !strings.Contains(index, "]("+p.Name+".md") {
				t.Errorf("docs/index.md does not link to docs/%s.md", p.Name)
			}
			if !strings.Contains(string(readme), "(docs/"+p.Name+".md") {
				t.Errorf("README.md does not link to docs/%s.md", p.Name)
			}
		}
	}
}

// TestPages: each has a title and a sentence, and what only tests read is not shown.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, p := range manual.Pages() {
		if p.Title == "" || len(p.Sentence) < 20 || strings.ContainsAny(p.Sentence[:1], "`|#-<") || !strings.ContainsAny(p.Sentence[len(p.Sentence)-1:], ".:?") {
			t.Errorf("docs/%s.md: below `# Title` stands one sentence that says what the reader gets from the page; found: title %q, sentence %q", p.Name, p.Title, p.Sentence)
		}
		for _, hidden := range []string{"<!-- story", "<!-- sh", "<!-- go", "<!-- file=", "<!-- wire"} {
			if strings.Contains(p.Text, hidden) {
				t.Errorf("docs/%s.md: readers see %s", p.Name, hidden)
			}
		}
	}
}
