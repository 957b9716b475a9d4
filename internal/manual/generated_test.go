package manual_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/config"
)

// TestGenerated compares the pages that are made from the programs with what the programs have now. -update writes them.
func TestGenerated(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) string{"cli": commandsPage, "metrics": metricsPage, "configuration": configurationPage} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(root, "docs", name+".md")
			want := make(t)
			got, err := os.ReadFile(file)
			if err == nil && string(got) == want {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("docs/%s.md is not what the programs have now; go test ./internal/manual -run TestGenerated -update writes it\n%s", name, firstDifference(want, string(got)))
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			was := "(the end)"
			if i < len(g) {
				was = g[i]
			}
			return "now: " + w[i] + "\nwas: " + was
		}
	}
	return "there is more than there should be"
}

// table writes a table; what is in a cell is escaped.
func table(page *strings.Builder, head []string, rows [][]string) {
	line := func(cells []string) {
		for _, c := range cells {
			c = strings.ReplaceAll(strings.Join(strings.Fields(c), " "), "|", `\|`)
			page.WriteString("| " + c + " ")
		}
		page.WriteString("|\n")
	}
	line(head)
	page.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	page.WriteString("\n")
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// flagsOf are the flags of a command alone, without help.
func flagsOf(c *cobra.Command) (all []*pflag.Flag) {
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden {
			all = append(all, f)
		}
	})
	return all
}

// names of a flag with its value and its short form: --server URLs, -s
func namesOf(f *pflag.Flag) string {
	value, _ := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if value != "" {
		name += " " + value
	}
	if f.Shorthand != "" {
		return code(name) + ", " + code("-"+f.Shorthand)
	}
	return code(name)
}

// meaning of a flag, without what stands in a column of its own.
func meaning(t *testing.T, f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	if strings.TrimSpace(usage) == "" {
		t.Errorf("--%s has no help", f.Name)
	}
	return literal(usage)
}

// literal keeps Markdown from reading marks in a text of the programs: <FLAG>, viewer=*.
func literal(text string) string {
	return strings.NewReplacer("<", `\<`, "*", `\*`).Replace(text)
}

func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "[]", "false", "0", "0s":
		return ""
	}
	return code(f.DefValue)
}

// variables are the names of a flag's variables in the environment.
func variables(f *pflag.Flag) string {
	all := code(config.Variable(f.Name))
	if name := config.NATSVariable(f.Name); name != "" {
		all += ", " + code(name)
	}
	return all
}
