package plan

import (
	"encoding/json"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/wire"
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

// toolName reads the name of a tool, and keeps where it stands.
func (r *reader) toolName(into *string, node **yaml.Node) yamldoc.Field {
	read := r.Checked(into, wire.ValidTool, toolRule)
	return func(n *yaml.Node) {
		if read(n); *into != "" {
			*node = n
		}
	}
}

// params reads parameters: an object, or one expression that gives an object.
func (r *reader) params(into *json.RawMessage, node **yaml.Node) yamldoc.Field {
	return func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode && !yamldoc.IsString(n) {
			r.At(n, "", "parameters must be a mapping of names to values, not %s", yamldoc.KindOf(n))
			return
		}
		*node = n // so that its expressions are checked even when something else in it is wrong
		v, ok := r.Value(n)
		if !ok {
			return
		}
		if s, is := v.(string); is && !wholeExpression(s) {
			r.At(n, "", "parameters must be a mapping of names to values, or one ${ ... } that gives one")
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

func wholeExpression(s string) bool {
	segments, faults := expr.Split(s)
	return len(faults) > 0 || expr.IsWhole(segments) // a faulty one is reported when it is compiled
}

// checkConstant tests parameters without expressions against the tool's input schema: they will never be others.
func (r *reader) checkConstant(at *yaml.Node, with []byte, def *ToolDef) {
	if at == nil || len(with) == 0 || def == nil || def.CheckInput == nil {
		return
	}
	t, faults := expr.CompileTemplate(steps.Decode(with), "", expr.Readable{})
	if len(faults) > 0 || t.Constant == nil {
		return
	}
	if err := def.CheckInput(t.Constant); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			r.At(at, "", "the tool %s does not accept this: %s", def.Name, line)
		}
	}
}
