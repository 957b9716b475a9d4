package manual_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/config"
	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

const configurationHead = `# Configuration

Every setting: its key in the settings file, its variable in the environment, its flag, its default and what it does.

` + "`dispatcher config view --show-origin`" + ` prints what is set and where it comes from. What can be set in several places is taken from the first of them:

1. the flag: ` + "`--log-level debug`" + `
2. its variable: ` + "`BELAY_LOG_LEVEL=debug`" + `
3. the settings file: in the section of the command (` + "`serve`, `dev` or `worker`" + `), else at its top
4. the variables of the ` + "`nats`" + ` CLI, for how NATS is reached: ` + "`NATS_URL`, `NATS_CREDS`" + ` and so on
5. the default

The settings file is the one that ` + "`--config` or `BELAY_CONFIG`" + ` names, else ` + "`$XDG_CONFIG_HOME/belay/config.yaml`" + ` (` + "`~/.config/belay/config.yaml`" + `) if there is one.
Keys are the names of the flags with ` + "`_` for `-`" + `. An unknown key is refused (exit code 78), with its place; both programs check the whole file.
` + "`dispatcher schema settings`" + ` prints its schema for editors, and [config/belay.yaml](../config/belay.yaml) is a sample with every key.

` + "```yaml config" + `
server: nats://nats-1.internal:4222,nats://nats-2.internal:4222
creds: /etc/belay/belay.creds
log_format: json
serve:
  listen: :8222
  public_url: https://belay.example.com
  notify: /etc/belay/notify.yaml
  tools: /etc/belay/tools.yaml
  plans: /etc/belay/plans
worker:
  tools: /etc/belay/tools.yaml
  listen: 127.0.0.1:9465
  tool_concurrency: {payments.refund: 4}
` + "```" + `

Keep secrets out of it: ` + "`password`, `token`, `api_token` and `oidc_client_secret`" + ` are better set as variables, and are never printed.
Other files have references of their own: [plans](plan.md), [tools](tools.md), [notices](people.md). Traces are sent where the standard ` + "`OTEL_`" + ` variables
say ([running it](running.md)).

`

// sections are those of a settings file, with what each is for.
var sections = []struct{ name, about string }{
	{"", "How NATS is reached, what is logged, where state is kept. They count for every command."},
	{"serve", "Of `dispatcher serve`, under `serve:` in the file."},
	{"dev", "Of `dispatcher dev`, under `dev:` in the file."},
	{"worker", "Of `worker`, under `worker:` in the file."},
}

// configurationPage is docs/configuration.md. Its keys are compared with those that a settings file may hold.
func configurationPage(t *testing.T) string {
	var page strings.Builder
	page.WriteString(configurationHead)
	d, w := dispatcher.Root(cli.IO{}), worker.Root(cli.IO{})
	documented := map[string]bool{}
	for _, s := range sections {
		flags := persistent(d)
		switch s.name {
		case "serve", "dev":
			c, _, err := d.Find([]string{s.name})
			if err != nil {
				t.Fatal(err)
			}
			flags = flagsOf(c)
		case "worker":
			flags = flagsOf(w)
		}
		name := s.name
		if name == "" {
			name = "All commands"
		}
		fmt.Fprintf(&page, "## %s\n\n%s\n\n", name, s.about)
		rows := [][]string{}
		for _, f := range flags {
			if config.InFile(f.Name) {
				documented[s.name+"."+config.Key(f.Name)] = true
				rows = append(rows, []string{code(config.Key(f.Name)), code("--"+f.Name) + ", " + variables(f), defaultOf(f), meaning(t, f)})
			}
		}
		table(&page, []string{"key", "flag, variable", "default", ""}, rows)
	}
	for key := range settingsKeys(t) {
		if !documented[key] {
			t.Errorf("a settings file may hold %s, and it is not documented", key)
		}
		delete(documented, key)
	}
	for key := range documented {
		t.Errorf("%s is documented, and no settings file may hold it", key)
	}
	page.WriteString("Only on the command line: `--config` (the settings file itself) and `--output`.\n\n## Reading it again\n\n" +
		"On SIGHUP `serve` and `dev` read again what the HTTP API may start (`tools` and `plans`); with a mistake in it they log it and keep what they had. On a\n" +
		"terminal, and without such files, SIGHUP stops them. Everything else needs a restart, which loses nothing: other dispatchers and workers go on meanwhile.\n")
	page.WriteString("\n## Other variables\n\nThe programs read these, too. They are no flags.\n\n")
	rows := [][]string{}
	for _, v := range otherVariables {
		rows = append(rows, []string{v.names, v.about})
	}
	table(&page, []string{"variable", ""}, rows)
	return strings.TrimRight(page.String(), "\n") + "\n"
}

// otherVariables are those of the environment that are no flag's.
var otherVariables = []struct{ names, about string }{
	{"`BELAY_WORK_TOKEN`", "the token that programs show which poll for remote rungs, in place of the file of `--work-token-file`; the clients read it, too"},
	{"`BELAY_URL`, `BELAY_API_TOKEN`, `BELAY_WORK_URL`", "where the Python and TypeScript clients find the server, what they show it, and where they poll for calls"},
	{"`XDG_STATE_HOME`, `XDG_CONFIG_HOME`", "the folders above `belay/` with state and with the settings file; `~/.local/state` and `~/.config` without them"},
	{"`NO_COLOR`, `FORCE_COLOR`, `CLICOLOR_FORCE`, `TERM`", "whether text has colors, where `--color` does not say: never, or also where there is no terminal; none with `TERM=dumb`"},
	{"`GOGC`, `GOMEMLIMIT`", "the pace of Go's garbage collector; without `GOGC` the programs set it by what they hold"},
	{"`OTEL_TRACES_EXPORTER`, `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`", "one of them turns traces on; all others of OpenTelemetry count, too (`OTEL_RESOURCE_ATTRIBUTES`, ...)"},
	{"`OTEL_SDK_DISABLED`", "`true` turns traces off, as `OTEL_TRACES_EXPORTER=none` does"},
	{"variables that files name", "a tools file and a notify file name the variables of their secrets: `bearer_env: PAY_TOKEN`"},
}

// notForUsers are variables that only the programs themselves and their tests set.
var notForUsers = []string{
	"BELAY_CRASH", "BELAY_CRASH_LOG", // where a program that is built for tests ends itself, and where it says so
	"BELAY_MUTANT",  // which mistake a program that is broken on purpose makes
	"BELAY_NATS_",   // begins the variables that a NATS server reads, docs/permissions.md
	"BELAY_SERVICE", // marks the services of a tools file, so that they end with their dispatcher
}

var readsVariable = regexp.MustCompile(`"((?:BELAY|OTEL|NATS|XDG)_[A-Z_]+|[A-Z]+_COLOR|CLICOLOR_[A-Z]+|TERM|GOGC)"`)

// TestEveryVariableIsDocumented looks for the names of variables in the code of the programs.
func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, folder := range []string{"internal", "config", "cmd", "worker", "embedded"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range readsVariable.FindAllStringSubmatch(string(source), -1) {
				if found++; !strings.Contains(string(text), "`"+m[1]+"`") && !slices.Contains(notForUsers, m[1]) {
					t.Errorf("%s reads %s, and docs/configuration.md does not name it", path, m[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if found < 15 {
		t.Errorf("only %d variables were found: has the way they are read changed?", found)
	}
}

// settingsKeys are what a settings file may hold, as its schema says, which is made from what the programs read.
func settingsKeys(t *testing.T) map[string]bool {
	raw, err := json.Marshal(cli.SettingsSchema())
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var top object
	if err := json.Unmarshal(raw, &top); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for name, property := range top.Properties {
		var section object
		if err := json.Unmarshal(property, &section); err != nil {
			t.Fatal(err)
		}
		if section.Properties == nil {
			keys["."+name] = true
		}
		for inner := range section.Properties {
			keys[name+"."+inner] = true
		}
	}
	return keys
}

func persistent(c *cobra.Command) (all []*pflag.Flag) {
	c.PersistentFlags().SortFlags = false
	c.PersistentFlags().VisitAll(func(f *pflag.Flag) { all = append(all, f) })
	return all
}
