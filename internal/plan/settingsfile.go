package plan

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Setting is one value of a settings file, as text: a list is written a,b and a mapping k=v,k=v.
type Setting struct {
	Section, Key string // Section is empty for what stands at the top
	Text         string
	Line         int
}

// SettingCheck says what is wrong with a setting's text; nil means nothing.
type SettingCheck func(text string) error

// ParseSettings reads a file of settings: keys at the top, and sections of keys. Known has what may be there, by section
// and key; "" is the top. The error is [Problems]. A file without any setting is none.
func ParseSettings(file string, data []byte, known map[string]map[string]SettingCheck) ([]Setting, error) {
	if onlyComments(data) {
		return nil, nil
	}
	f := &settingsFile{reader: &reader{}}
	root, ok := f.parse(file, data, "settings file")
	if ok {
		f.object(root, "the settings", f.top(known))
	}
	return f.all, f.problems.err()
}

func onlyComments(data []byte) bool {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

type settingsFile struct {
	*reader
	all []Setting
}

func (f *settingsFile) top(known map[string]map[string]SettingCheck) fields {
	all := f.section("", known[""])
	for name, keys := range known {
		if name != "" {
			all[name] = func(n *yaml.Node) { f.object(n, "section "+name, f.section(name, keys)) }
		}
	}
	return all
}

func (f *settingsFile) section(name string, keys map[string]SettingCheck) fields {
	all := fields{}
	for key, check := range keys {
		all[key] = func(n *yaml.Node) { f.setting(Setting{Section: name, Key: key, Line: n.Line}, n, check) }
	}
	return all
}

func (f *settingsFile) setting(s Setting, n *yaml.Node, check SettingCheck) {
	before := len(f.problems)
	switch n.Kind {
	case yaml.SequenceNode:
		var words []string
		f.list(n, s.Key, func(_ int, e *yaml.Node) { words = append(words, f.word(e)) })
		s.Text = strings.Join(words, ",")
	case yaml.MappingNode:
		var words []string
		f.mapping(n, s.Key, func(k, v *yaml.Node) { words = append(words, k.Value+"="+f.word(v)) })
		s.Text = strings.Join(words, ",")
	default:
		s.Text = f.word(n)
	}
	if len(f.problems) > before {
		return
	}
	if err := check(s.Text); err != nil {
		f.at(n, "", "%s: %v", s.Key, err)
		return
	}
	f.all = append(f.all, s)
}

// word is a scalar as it is written.
func (f *settingsFile) word(n *yaml.Node) string {
	n = resolve(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		f.at(n, "", "a single value is needed here, not %s", kindOf(n))
	case n.ShortTag() == "!!null":
		f.at(n, "remove the key to have the default", "a value is missing here")
	}
	return n.Value
}
