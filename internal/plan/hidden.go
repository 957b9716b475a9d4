package plan

import (
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/yamldoc"
)

// Secrets that somebody wrote into a tools file reach the tool, which may say them again. Executors hide them in what it
// answers, like those from the environment. Only texts without expressions count: parameters are in the log anyway.

// secretName finds the names of headers, variables and query parameters that hold a secret.
var secretName = regexp.MustCompile(`(?i)key|token|secret|passw|signature|credential|auth|cookie`)

// NamesSecret reports whether a value of this name is a secret.
func NamesSecret(name string) bool {
	name = strings.ToLower(name)
	switch {
	case strings.HasSuffix(name, "idempotency-key"), strings.HasSuffix(name, "idempotency_key"):
		return false
	case strings.Contains(name, "author") && !strings.Contains(name, "authoriz"):
		return false
	}
	return secretName.MatchString(name)
}

// hiddenValues collects secrets by the name that is shown in their place.
type hiddenValues map[string]string

func (h *hiddenValues) add(name, value string) {
	if value == "" || strings.Contains(value, "${") {
		return
	}
	if *h == nil {
		*h = hiddenValues{}
	}
	(*h)[name] = value
}

// addNamed adds a value if its name says that it is a secret. What follows a scheme, as in `Bearer x`, is one by itself.
func (h *hiddenValues) addNamed(kind, name, value string) {
	if !NamesSecret(name) {
		return
	}
	h.add(kind+name, value)
	if scheme, rest, ok := strings.Cut(value, " "); ok && !strings.Contains(value, "${") {
		h.add(scheme+" "+kind+name, strings.TrimSpace(rest))
	}
}

// addMapping adds the secrets of a mapping of names to texts.
func (h *hiddenValues) addMapping(kind string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if value := yamldoc.Resolve(n.Content[i+1]); yamldoc.IsString(value) {
			h.addNamed(kind, yamldoc.Resolve(n.Content[i]).Value, value.Value)
		}
	}
}

// addURL adds the password and the query's secrets of a URL, whatever else in it is an expression.
func (h *hiddenValues) addURL(s string) {
	if user := userInfo.FindString(s); user != "" {
		if _, password, ok := strings.Cut(strings.TrimSuffix(user[strings.Index(user, "://")+3:], "@"), ":"); ok {
			h.addEncoded("password of the url", password)
		}
	}
	for _, pair := range secretPair.FindAllString(s, -1) {
		name, value, _ := strings.Cut(strings.TrimLeft(pair, "?&;"), "=")
		if NamesSecret(name) {
			h.addEncoded("query "+name, value)
		}
	}
}

func (h *hiddenValues) addEncoded(name, value string) {
	if plain, err := url.QueryUnescape(value); err == nil {
		value = plain
	}
	h.add(name, value)
}

// addWords adds the secrets of a command line: what follows `--token`, and `--token=` itself.
func (h *hiddenValues) addWords(argv []string) {
	for i, word := range argv {
		flag, value, ok := strings.Cut(word, "=")
		switch {
		case i > 0 && secretFlag.MatchString(argv[i-1]) && !strings.HasPrefix(word, "-"):
			h.add("argument "+argv[i-1], word)
		case ok && strings.HasPrefix(flag, "-") && NamesSecret(flag):
			h.add("argument "+flag, value)
		}
	}
}
