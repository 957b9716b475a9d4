package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestGitHubFiles: they are YAML, and call the command with flags that it has.
func TestGitHubFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("github/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			On   map[string]any `yaml:"on"`
			Jobs map[string]struct {
				Steps []struct {
					Uses, Run string
				}
			}
		}
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		var runs []string
		for _, job := range doc.Jobs {
			for _, s := range job.Steps {
				if (s.Uses == "") == (s.Run == "") {
					t.Errorf("%s: a step has to use an action or run commands: %+v", file, s)
				}
				runs = append(runs, s.Run)
			}
		}
		all := strings.Join(runs, "\n")
		if len(doc.On) == 0 || !strings.Contains(all, "dispatcher prove plans/*.yaml --tools plans/tools.yaml --against ") || !strings.Contains(all, "-o sarif") {
			t.Errorf("%s runs\n%s", file, all)
		}
	}
}
