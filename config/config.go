// Package config says where the settings of Belay's programs come from, and which source wins:
//
//	flag > BELAY_<FLAG> in the environment > settings file > NATS_* in the environment > default
//
// What can be set, its type, its default and its help are defined in one place: the flags of the commands. A settings file
// uses the same names with _ for -, those of all commands at the top and those of one command in a section of its name.
// belay.yaml beside this file is a sample with all of them.
package config

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Files are the samples beside this file: belay.yaml with all settings, and notify.yaml.
//
//go:embed *.yaml
var Files embed.FS

// Schema is what can be set: the flags of each section. The section "" has the flags of all commands.
type Schema map[string]*pflag.FlagSet

// natsEnv are the variables that the nats CLI reads, by flag.
var natsEnv = map[string]string{
	"server": "NATS_URL", "context": "NATS_CONTEXT", "creds": "NATS_CREDS", "nkey": "NATS_NKEY", "user": "NATS_USER",
	"password": "NATS_PASSWORD", "token": "NATS_TOKEN", "tlscert": "NATS_CERT", "tlskey": "NATS_KEY", "tlsca": "NATS_CA", "timeout": "NATS_TIMEOUT",
}

// NATSVariable is the variable of the nats CLI that sets a flag; empty for none.
func NATSVariable(flag string) string { return natsEnv[flag] }

// notInFiles are flags that belong to one call.
var notInFiles = []string{"help", "config", "output"}

// InFile reports whether a flag can be set in a file.
func InFile(flag string) bool { return !slices.Contains(notInFiles, flag) }

// Origin is where a setting's value comes from, for people: "flag --server", "BELAY_SERVER", "belay.yaml:3", "default".
type Origin string

// Default is the origin of a value that was not set.
const Default Origin = "default"

// File is a settings file that was read. The zero value has no settings.
type File struct {
	Path   string // as it was named; empty if no file was read
	values map[string]map[string]setting
}

// Find returns the settings file to read: the named one, or else $XDG_CONFIG_HOME/belay/config.yaml if it exists; empty =
// none.
func Find(named string, getenv func(string) string) string {
	if named != "" {
		return named
	}
	dir := getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	path := filepath.Join(dir, "belay", "config.yaml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// Load reads a settings file; an empty path gives no settings. It reports all mistakes at once, as yamldoc.Problems:
// unknown keys and wrong values, with their positions. Checking a value sets the flag in schema, so these must not be the
// flags of a running command.
func Load(path string, schema Schema) (*File, error) {
	f := &File{Path: path, values: map[string]map[string]setting{}}
	if path == "" {
		return f, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	all, err := parseSettings(path, data, schema.checks())
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if f.values[s.Section] == nil {
			f.values[s.Section] = map[string]setting{}
		}
		f.values[s.Section][s.Key] = s
	}
	return f, nil
}

func (s Schema) checks() map[string]map[string]settingCheck {
	all := map[string]map[string]settingCheck{}
	for section, flags := range s {
		all[section] = map[string]settingCheck{}
		flags.VisitAll(func(fl *pflag.Flag) {
			if InFile(fl.Name) {
				all[section][Key(fl.Name)] = settingCheck{fl.Value.Type() == objects, func(text string) error { return check(fl, text) }}
			}
		})
	}
	return all
}

// objects is the type of flags that are a list of objects in a file, and a list of queries of URLs elsewhere.
const objects = "objects"

func check(fl *pflag.Flag, text string) error {
	err := fl.Value.Set(text)
	if err == nil {
		return nil
	}
	switch fl.Value.Type() {
	case objects:
		return err
	case "bool":
		return fmt.Errorf("%q is not true or false", text)
	case "int":
		return fmt.Errorf("%q is not a whole number", text)
	case "duration":
		return fmt.Errorf("%q is not a duration like 30s, 5m or 720h", text)
	case "stringToInt":
		return fmt.Errorf("%q is not a list of names with whole numbers, like a=1,b=2", text)
	}
	return fmt.Errorf("%q: %w", text, err)
}

// Key returns a flag's name in a settings file.
func Key(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// Variable returns a flag's name in the environment.
func Variable(flag string) string { return "BELAY_" + strings.ToUpper(Key(flag)) }

// Fill sets the flags of a command that were not given, and returns where each value comes from. Section is that of the
// command. Errors name the variable; mistakes in the file were found when it was loaded.
func (f *File) Fill(flags *pflag.FlagSet, section string, getenv func(string) string) (map[string]Origin, error) {
	origins := map[string]Origin{}
	var errs []error
	flags.VisitAll(func(fl *pflag.Flag) {
		text, origin := f.look(fl, section, getenv)
		origins[fl.Name] = origin
		if fl.Changed || origin == Default {
			return
		}
		if err := flags.Set(fl.Name, text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", origin, check(fl, text)))
		}
	})
	return origins, errors.Join(errs...)
}

// look returns the value of a flag and where it comes from.
func (f *File) look(fl *pflag.Flag, section string, getenv func(string) string) (text string, origin Origin) {
	if fl.Changed {
		return fl.Value.String(), Origin("flag --" + fl.Name)
	}
	if fl.Name == "help" {
		return "", Default
	}
	if v := getenv(Variable(fl.Name)); v != "" {
		return v, Origin(Variable(fl.Name))
	}
	for _, in := range []string{section, ""} {
		if s, ok := f.values[in][Key(fl.Name)]; ok {
			return s.Text, Origin(fmt.Sprintf("%s:%d", f.Path, s.Line))
		}
	}
	if name := natsEnv[fl.Name]; name != "" && getenv(name) != "" {
		return getenv(name), Origin(name)
	}
	return "", Default
}
