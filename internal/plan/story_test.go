package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the stories' `want` anew")

// TestStories reads testdata/stories: each has a tools file, perhaps a plan, and in `want` what is said about them:
// every problem, or the document that comes out. `go test -update` writes `want` anew; review the difference.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { tell(t, file) })
	}
}

func tell(t *testing.T, file string) {
	story, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := ending(t, story)
	want := section(story, "want")
	if *update {
		setSection(story, "want", got)
		if err := os.WriteFile(file, txtar.Format(story), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// ending is what is said about the documents of a story.
func ending(t *testing.T, story *txtar.Archive) string {
	var tools *Tools
	if data := section(story, "tools.yaml"); data != nil {
		var err error
		if tools, err = ParseTools("tools.yaml", data); err != nil {
			return err.Error() + "\n"
		}
	}
	data := section(story, "plan.yaml")
	if data == nil {
		return indented(t, describeTools(tools))
	}
	doc, err := ParsePlan("plan.yaml", data, tools)
	if err != nil {
		return err.Error() + "\n"
	}
	return indented(t, doc.JSON)
}

func section(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func setSection(a *txtar.Archive, name, data string) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = []byte(data)
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(data)})
}

func describeTools(tools *Tools) []byte {
	policies := map[string]any{}
	for name, t := range tools.Tools {
		policies[name] = t.Tool
	}
	raw, err := marshal(policies)
	if err != nil {
		panic(fmt.Sprintf("policies cannot be written: %v", err))
	}
	return raw
}

func indented(t *testing.T, raw []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}
