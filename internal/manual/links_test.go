package manual_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks: every relative link leads to a file of the project, and to a heading of it where it names one.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		report(t, checkLinks(p))
	}
}

// TestText: commands and flags that a sentence names are there.
func TestText(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		if p.path != "CHANGELOG.md" { // it speaks of what was
			report(t, checkSpans(p))
		}
	}
}

func checkLinks(p *page) (found []problem) {
	for _, l := range p.prose {
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(l.text, "`"), -1) {
			if err := checkLink(p, m[1]); err != nil {
				found = append(found, problem{p, l.at, err.Error()})
			}
		}
	}
	return found
}

func checkLink(p *page, to string) error {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return nil
	}
	if strings.HasPrefix(to, "/") { // of a program; on the web it leads nowhere
		return fmt.Errorf("the link to %s is absolute", to)
	}
	file, fragment, _ := strings.Cut(to, "#")
	target := p.path
	if file != "" {
		target = path.Join(path.Dir(p.path), file)
	}
	if strings.HasPrefix(target, "../") {
		return fmt.Errorf("the link to %s leaves the project", to)
	}
	text, err := os.ReadFile(filepath.Join(root, target))
	if info, dir := os.Stat(filepath.Join(root, target)); dir == nil && info.IsDir() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the link to %s leads nowhere: there is no file %s", to, target)
	}
	if fragment != "" && strings.HasSuffix(target, ".md") && !parsePage(target, string(text)).anchors()[fragment] {
		return fmt.Errorf("the link to %s leads nowhere: %s has no heading with the anchor #%s", to, target, fragment)
	}
	return nil
}
