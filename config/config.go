// Package config says where the settings of Belay's programs come from, and which one counts when there are several:
//
//	flag > BELAY_<FLAG> in the environment > settings file > NATS_* in the environment > default
//
// What can be set, its type, default and help stand in one place: the flags of the commands. A settings file has the
// same names with _ for -, those of all commands at the top and those of one command in a section of its name. belay.yaml
// beside this file is a sample with all of them.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"belay/internal/plan"
)

// Schema is what may be set: the flags of every section. The section "" has the flags of all commands.
type Schema map[string]*pflag.FlagSet

// natsEnv are the variables that the nats CLI reads, by flag.
var natsEnv = map[string]string{
	"server": "NATS_URL", "context": "NATS_CONTEXT", "creds": "NATS_CREDS", "nkey": "NATS_NKEY", "user": "NATS_USER",
	"password": "NATS_PASSWORD", "token": "NATS_TOKEN", "tlscert": "NATS_CERT", "tlskey": "NATS_KEY", "tlsca": "NATS_CA", "timeout": "NATS_TIMEOUT",
}

// notInFiles are flags that belong to one call.
var notInFiles = []string{"help", "config", "output"}

// InFile reports whether a flag is a setting, so that a file may hold it.
func InFile(flag string) bool { return !slices.Contains(notInFiles, flag) }

// Origin is where a setting's value comes from, for people: "flag --server", "BELAY_SERVER", "belay.yaml:3", "default".
type Origin string

// Default is the origin of what nobody has set.
const Default Origin = "default"

// File is a settings file that was read. The zero value has no settings.
type File struct {
	Path   string
	values map[string]map[string]plan.Setting
}

// Find is the settings file to read: the one that is named, or else $XDG_CONFIG_HOME/belay/config.yaml if it is there;
// empty for none.
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

// Load reads a settings file; an empty path gives no settings. Every mistake is reported at once, as plan.Problems:
// unknown keys, values of the wrong form, all with their places. The flags in schema are used to check values and keep
// the last one: they must not be those of a running command.
func Load(path string, schema Schema) (*File, error) {
	f := &File{Path: path, values: map[string]map[string]plan.Setting{}}
	if path == "" {
		return f, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	all, err := plan.ParseSettings(path, data, schema.checks())
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if f.values[s.Section] == nil {
			f.values[s.Section] = map[string]plan.Setting{}
		}
		f.values[s.Section][s.Key] = s
	}
	return f, nil
}

func (s Schema) checks() map[string]map[string]plan.SettingCheck {
	all := map[string]map[string]plan.SettingCheck{}
	for section, flags := range s {
		all[section] = map[string]plan.SettingCheck{}
		flags.VisitAll(func(fl *pflag.Flag) {
			if InFile(fl.Name) {
				all[section][Key(fl.Name)] = func(text string) error { return check(fl, text) }
			}
		})
	}
	return all
}

func check(fl *pflag.Flag, text string) error {
	err := fl.Value.Set(text)
	if err == nil {
		return nil
	}
	switch fl.Value.Type() {
	case "bool":
		err = errors.New("it is true or false")
	case "int":
		err = errors.New("it is a whole number")
	case "duration":
		err = errors.New("it is a duration like 30s, 5m or 720h")
	case "stringToInt":
		err = errors.New("it gives names whole numbers")
	}
	return fmt.Errorf("%q: %w", text, err)
}

// Key is a flag's name in a settings file.
func Key(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// Variable is a flag's name in the environment.
func Variable(flag string) string { return "BELAY_" + strings.ToUpper(Key(flag)) }

// Fill sets the flags of a command that were not given, and says where each value comes from. Section is the command's.
// Errors name the variable; those of the file were found when it was loaded.
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

// look finds the value of a flag and where it stands.
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
