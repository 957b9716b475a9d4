package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/config"
	"belay/internal/injection"
	"belay/internal/text"
)

// sections are the commands with a section of their own in a settings file: those that keep running.
var sections = []string{"serve", "dev", "worker"}

// settingsSchema is what a settings file may hold, whichever program reads it. Its flags belong to no running command.
func settingsSchema() config.Schema {
	schema := config.Schema{}
	for _, section := range append([]string{""}, sections...) {
		schema[section] = pflag.NewFlagSet(section, pflag.ContinueOnError)
	}
	(&App{}).globalFlags(schema[""])
	(&ServeFlags{}).Add(schema["serve"])
	(&DevFlags{}).Add(schema["dev"])
	(&WorkerFlags{}).Add(schema["worker"])
	return schema
}

// fill sets the flags that were not given, from the environment and the settings file.
func (a *App) fill(c *cobra.Command) error {
	if !c.Flags().Changed("config") {
		a.configFile = a.Getenv(config.Variable("config"))
	}
	a.given = map[string]string{}
	c.Flags().Visit(func(fl *pflag.Flag) { a.given[fl.Name] = fl.Value.String() })
	file, err := a.settingsFile()
	if err != nil {
		return err
	}
	if _, err := file.Fill(c.Flags(), c.Name(), a.Getenv); err != nil {
		return WithCode(ExitConfig, err)
	}
	return nil
}

// Typed reports whether a flag stands on the command line, and does not come from the environment or the settings file.
func (a *App) Typed(flag string) bool {
	_, typed := a.given[flag]
	return typed
}

func (a *App) settingsFile() (*config.File, error) {
	path := config.Find(a.configFile, a.Getenv)
	file, err := config.Load(path, settingsSchema())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Usage("there is no settings file %s, which --config or BELAY_CONFIG names: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, WithCode(ExitConfig, err)
	}
	return file, nil
}

func (a *App) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Show the settings and where they come from", RunE: NeedSubcommand}
	var origin, all bool
	view := &cobra.Command{
		Use: "view", Short: "Print the settings in effect", Args: cobra.NoArgs,
		Long: "Prints every setting that differs from its default: those of all commands, then those of each program that keeps running.\n\n" +
			"A flag takes precedence over BELAY_<FLAG> in the environment, that over the settings file, and that over the NATS_*\n" +
			"variables of the nats CLI. The settings file is the one that --config or BELAY_CONFIG names, or else\n" +
			"$XDG_CONFIG_HOME/belay/config.yaml.",
		Example: "  dispatcher config view --show-origin\n  dispatcher config view --all -o json",
		RunE:    func(*cobra.Command, []string) error { return a.viewSettings(origin, all) },
	}
	view.Flags().BoolVar(&origin, "show-origin", false, "say where each value comes from")
	view.Flags().BoolVar(&all, "all", false, "print the defaults too")
	c.AddCommand(view)
	return c
}

type settingRow struct {
	Section string        `json:"section,omitempty"`
	Key     string        `json:"key"`
	Value   string        `json:"value"`
	Origin  config.Origin `json:"origin"`
}

// viewSettings fills the flags of all commands, as if each were run now with the global flags that were given here.
func (a *App) viewSettings(origin, all bool) error {
	file, err := a.settingsFile()
	if err != nil {
		return err
	}
	schema := settingsSchema()
	for name, text := range a.given {
		if schema[""].Lookup(name) != nil {
			err = errors.Join(err, schema[""].Set(name, text))
		}
	}
	rows := []settingRow{}
	for _, section := range append([]string{""}, sections...) {
		origins, fillErr := file.Fill(schema[section], section, a.Getenv)
		err = errors.Join(err, fillErr)
		schema[section].VisitAll(func(fl *pflag.Flag) {
			o := origins[fl.Name]
			if !config.InFile(fl.Name) || o == config.Default && !all {
				return
			}
			rows = append(rows, settingRow{section, config.Key(fl.Name), shownSetting(fl), o})
		})
	}
	if err != nil {
		return WithCode(ExitConfig, err)
	}
	return a.printSettings(rows, origin)
}

func (a *App) printSettings(rows []settingRow, origin bool) error {
	if a.JSON() {
		return a.PrintJSON(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.Err, "Nothing is set: every setting has its default (config view --all prints them).")
	}
	section := ""
	for _, r := range rows {
		indent := ""
		if r.Section != "" {
			indent = "  "
		}
		if r.Section != section {
			section = r.Section
			fmt.Fprintf(a.Out, "%s:\n", section)
		}
		from := ""
		if origin {
			from = "  # " + string(r.Origin)
		}
		fmt.Fprintf(a.Out, "%s%s: %s%s\n", indent, r.Key, text.Line(r.Value), from)
	}
	return nil
}

// secretFlags are those whose values are never shown.
var secretFlags = []string{"password", "token", "api-token", "oidc-client-secret"}

func shownSetting(fl *pflag.Flag) string {
	v := fl.Value.String()
	switch {
	case v == "":
		return `""`
	case slices.Contains(secretFlags, fl.Name):
		return "[hidden]"
	case fl.Name == "server":
		return withoutPasswords(v)
	}
	return v
}

func withoutPasswords(servers string) string {
	parts := strings.Split(servers, ",")
	for i, p := range parts {
		if u, err := url.Parse(strings.TrimSpace(p)); err == nil && u.User != nil {
			parts[i] = u.Redacted()
			if _, has := u.User.Password(); !has { // a token stands where a user name would
				u.User = url.User("xxxxx")
				parts[i] = u.String()
			}
		}
	}
	return strings.Join(parts, ",")
}

// WithoutUsers are the URLs of servers without who connects to them. What is no URL is nothing that a hint could repeat.
func WithoutUsers(servers string) string {
	parts := strings.Split(servers, ",")
	for i, p := range parts {
		u, err := url.Parse(strings.TrimSpace(p))
		if err != nil {
			return ""
		}
		u.User = nil
		parts[i] = u.String()
	}
	return strings.Join(parts, ",")
}

// SettingsSchema describes settings files for editors, from the flags.
func SettingsSchema() map[string]any {
	schema := settingsSchema()
	properties := flagProperties(schema[""])
	for _, section := range sections {
		properties[section] = map[string]any{
			"type": "object", "additionalProperties": false, "properties": flagProperties(schema[section]),
			"description": "Settings of `" + section + "`.",
		}
	}
	return map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "title": "Belay settings", "type": "object",
		"additionalProperties": false, "properties": properties,
	}
}

func flagProperties(flags *pflag.FlagSet) map[string]any {
	all := map[string]any{}
	flags.VisitAll(func(fl *pflag.Flag) {
		if config.InFile(fl.Name) {
			p := flagType(fl.Value.Type())
			_, p["description"] = pflag.UnquoteUsage(fl)
			all[config.Key(fl.Name)] = p
		}
	})
	return all
}

func flagType(kind string) map[string]any {
	switch kind {
	case "bool":
		return map[string]any{"type": "boolean"}
	case "int":
		return map[string]any{"type": "integer"}
	case "size":
		return map[string]any{"type": "string", "examples": []string{"512MiB", "4GiB"}}
	case "duration":
		return map[string]any{"type": "string", "examples": []string{"30s", "5m", "720h"}}
	case "stringSlice":
		return map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	case "stringToInt":
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "integer"}}
	case "objects":
		keys := map[string]any{}
		for _, k := range injection.Keys() {
			keys[k] = map[string]any{}
		}
		return map[string]any{"type": "array", "items": map[string]any{"type": "object", "additionalProperties": false, "properties": keys, "required": []string{"tool", "for"}}}
	}
	if words := strings.Split(kind, "|"); len(words) > 1 {
		return map[string]any{"enum": words}
	}
	return map[string]any{"type": "string"}
}
