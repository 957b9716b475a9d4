package config

import (
	"bytes"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/yamldoc"
)

// setting is one value of a settings file as text: a list is a,b and a mapping k=v,k=v.
type setting struct {
	Section, Key string // Section is empty at the top
	Text         string
	Line         int
}

// settingCheck is how one setting is read.
type settingCheck struct {
	objects bool                    // it is a list of objects
	check   func(text string) error // returns an error if a setting's text is wrong
}

// parseSettings reads a settings file: keys at the top, and sections of keys. Known has the possible keys by section; "" is
// the top. The error is [yamldoc.Problems]. A file with only comments has no settings.
func parseSettings(file string, data []byte, known map[string]map[string]settingCheck) ([]setting, error) {
	if onlyComments(data) {
		return nil, nil
	}
	f := &settingsFile{Reader: &yamldoc.Reader{}}
	root, ok := f.Parse(file, data, "settings file")
	if ok {
		f.Object(root, "the settings", f.top(known))
	}
	return f.all, f.Problems.Err()
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
	*yamldoc.Reader
	all []setting
}

func (f *settingsFile) top(known map[string]map[string]settingCheck) yamldoc.Fields {
	all := f.section("", known[""])
	for name, keys := range known {
		if name != "" {
			all[name] = func(n *yaml.Node) { f.Object(n, "section "+name, f.section(name, keys)) }
		}
	}
	return all
}

func (f *settingsFile) section(name string, keys map[string]settingCheck) yamldoc.Fields {
	all := yamldoc.Fields{}
	for key, check := range keys {
		all[key] = func(n *yaml.Node) { f.read(setting{Section: name, Key: key, Line: n.Line}, n, check) }
	}
	return all
}

func (f *settingsFile) read(s setting, n *yaml.Node, check settingCheck) {
	before := len(f.Problems)
	switch {
	case check.objects:
		s.Text = f.objects(s.Key, n, check.check)
	case n.Kind == yaml.SequenceNode:
		var words []string
		f.List(n, s.Key, func(_ int, e *yaml.Node) { words = append(words, f.word(e)) })
		s.Text = strings.Join(words, ",")
	case n.Kind == yaml.MappingNode:
		var words []string
		f.Mapping(n, s.Key, func(k, v *yaml.Node) { words = append(words, k.Value+"="+f.word(v)) })
		s.Text = strings.Join(words, ",")
	default:
		s.Text = f.word(n)
	}
	if len(f.Problems) > before {
		return
	}
	if err := check.check(s.Text); err != nil {
		f.At(n, "", "%s: %v", s.Key, err)
		return
	}
	f.all = append(f.all, s)
}

// objects returns a list of objects as queries of URLs. A value that is a list itself is several of that name, and so is a
// mapping, as k=v.
func (f *settingsFile) objects(key string, n *yaml.Node, check func(string) error) string {
	var all []string
	f.List(n, key, func(_ int, e *yaml.Node) {
		query, before := url.Values{}, len(f.Problems)
		f.Mapping(e, key, func(k, v *yaml.Node) { query[k.Value] = f.words(k.Value, v) })
		text := query.Encode()
		if len(f.Problems) > before {
			return
		}
		if err := check(text); err != nil {
			f.At(e, "", "%s: %v", key, err)
		}
		all = append(all, text)
	})
	return strings.Join(all, ",")
}

func (f *settingsFile) words(key string, n *yaml.Node) (words []string) {
	n = yamldoc.Resolve(n)
	switch n.Kind {
	case yaml.SequenceNode:
		f.List(n, key, func(_ int, e *yaml.Node) { words = append(words, f.word(e)) })
	case yaml.MappingNode:
		f.Mapping(n, key, func(k, v *yaml.Node) { words = append(words, k.Value+"="+f.word(v)) })
	default:
		words = []string{f.word(n)}
	}
	return words
}

// word returns a scalar as it is written.
func (f *settingsFile) word(n *yaml.Node) string {
	n = yamldoc.Resolve(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		f.At(n, "", "expected a single value, not %s", yamldoc.KindOf(n))
	case n.ShortTag() == "!!null":
		f.At(n, "remove the key to use the default", "the value is missing")
	}
	return n.Value
}
