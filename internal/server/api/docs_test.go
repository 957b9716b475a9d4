package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documented is what a document says of the API: of each request its parameters and the statuses of its successes, and the
// codes of problems with their statuses.
type documented struct {
	requests map[string][]string // by method and path
	codes    map[string][]string
}

// TestTheManualIsComplete: docs/http.md has every request with its parameters and statuses, and every code of a problem with
// its statuses, and none that is not there.
func TestTheManualIsComplete(t *testing.T) {
	t.Parallel()
	page, spec := readManual(t), readSpec(t)
	for what, pair := range map[string][2]map[string][]string{"request": {spec.requests, page.requests}, "code": {codesIn(t), page.codes}} {
		want, have := pair[0], pair[1]
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if !slices.Equal(want[name], have[name]) {
				t.Errorf("docs/http.md says of the %s %s: %v; it has %v", what, name, have[name], want[name])
			}
		}
		for name := range have {
			if want[name] == nil {
				t.Errorf("docs/http.md has the %s %s, and nothing else has", what, name)
			}
		}
	}
	all, _, _ := definitions(t, openAPI)
	i := slices.IndexFunc(all, func(d definition) bool { return d.name == "Problem" })
	var problem struct {
		Properties struct{ Code struct{ Enum []string } }
	}
	if err := json.Unmarshal(all[i].text, &problem); err != nil {
		t.Fatal(err)
	}
	if codes := slices.Sorted(maps.Keys(codesIn(t))); !slices.Equal(codes, slices.Sorted(slices.Values(problem.Properties.Code.Enum))) {
		t.Errorf("openapi.json has the codes %v; there are %v", problem.Properties.Code.Enum, codes)
	}
}

var quoted = regexp.MustCompile("`([^`]+)`")

// readManual reads the tables of docs/http.md.
func readManual(t *testing.T) documented {
	t.Helper()
	text, err := os.ReadFile("../../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	d := documented{map[string][]string{}, map[string][]string{}}
	part := ""
	for line := range strings.Lines(string(text)) {
		if title, is := strings.CutPrefix(line, "## "); is {
			part = strings.TrimSpace(title)
		}
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 3 {
			continue
		}
		names := quoted.FindAllStringSubmatch(cells[0], -1)
		switch part {
		case "Every request":
			about, _, _ := strings.Cut(cells[1], "body:")
			d.requests[names[0][1]] = sorted(parameters(about), numbersIn(cells[2]))
		case "Errors":
			for _, n := range names {
				d.codes[n[1]] = sorted(d.codes[n[1]], numbersIn(cells[1]))
			}
		}
	}
	return d
}

// parameters are the names in a cell, without what is said of them.
func parameters(cell string) []string {
	var names []string
	for _, one := range quoted.FindAllStringSubmatch(cell, -1) {
		if name := one[1]; name != "ETag" && name != "next" {
			names = append(names, name)
		}
	}
	return names
}

func numbersIn(cell string) []string { return regexp.MustCompile(`\b\d{3}\b`).FindAllString(cell, -1) }

func sorted(lists ...[]string) []string { return slices.Sorted(slices.Values(slices.Concat(lists...))) }

// readSpec reads openapi.json.
func readSpec(t *testing.T) documented {
	t.Helper()
	var spec struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name string }
			Responses  map[string]any
		}
	}
	if err := json.Unmarshal(openAPI, &spec); err != nil {
		t.Fatal(err)
	}
	d := documented{requests: map[string][]string{}}
	for path, methods := range spec.Paths {
		for method, o := range methods {
			var about []string
			for _, p := range o.Parameters {
				about = append(about, p.Name)
			}
			for status := range o.Responses {
				if strings.HasPrefix(status, "2") {
					about = append(about, status)
				}
			}
			d.requests[strings.ToUpper(method)+" "+path] = sorted(about)
		}
	}
	return d
}

var (
	direct = regexp.MustCompile(`http\.(Status\w+), "([a-z_]+)"`)
	bare   = regexp.MustCompile(`gate\.Problem\(\w+, http\.(Status\w+), "([a-z_]+)"`)
)

// codesIn are the codes that the program answers with, and their statuses, as its source has them.
func codesIn(t *testing.T) map[string][]string {
	t.Helper()
	codes := map[string][]string{}
	for pattern, find := range map[string]*regexp.Regexp{"*.go": direct, "../gate/*.go": direct, "../../cli/dispatcher/watch.go": bare} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range find.FindAllStringSubmatch(string(text), -1) {
				for _, code := range complete(m[2]) {
					if status := statusOf(t, m[1]); !slices.Contains(codes[code], status) {
						codes[code] = sorted(codes[code], []string{status})
					}
				}
			}
		}
	}
	return codes
}

// complete are the codes that begin with a word of the source.
func complete(code string) []string {
	if strings.HasSuffix(code, "_") {
		return []string{code + "plan", code + "tool"}
	}
	return []string{code}
}

func statusOf(t *testing.T, name string) string {
	t.Helper()
	for status := 400; status < 600; status++ {
		if text := strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(status)); text != "" && "Status"+text == name {
			return strconv.Itoa(status)
		}
	}
	t.Fatalf("no status %s", name)
	return ""
}
