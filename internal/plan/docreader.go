package plan

import (
	"encoding/json"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// reader reads a document with expressions and schemas in it.
type reader struct{ *yamldoc.Reader }

// duration reads a length of time of at least the given one.
func (r *reader) duration(into *steps.Duration, least time.Duration) yamldoc.Field {
	return yamldoc.Duration(r.Reader, into, least)
}

// json reads any data into canonical JSON.
func (r *reader) json(into *json.RawMessage) yamldoc.Field {
	return func(n *yaml.Node) {
		v, ok := r.Value(n)
		if !ok {
			return
		}
		raw, err := expr.Canonical(v)
		if err != nil {
			r.At(n, "", "%v", err)
			return
		}
		*into = raw
	}
}

// notBlank reports a text that says nothing, and whether it says something.
func (r *reader) notBlank(n *yaml.Node, key, hint string) bool {
	if strings.TrimSpace(n.Value) != "" {
		return true
	}
	r.At(n, hint, "%s is empty", key)
	return false
}
