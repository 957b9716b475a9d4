package prove

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"belay/internal/expr"
	"belay/internal/steps"
)

// sliced recognises a list that is cut to a length: x[:100], x[5:10].
var sliced = regexp.MustCompile(`\[\s*(\d*)\s*:\s*(\d+)\s*\]\s*$`)

// lengthOf says how long the list of a step can be. A step without one is a list of one.
func (c *checker) lengthOf(s *steps.Step) length {
	if s.ForEach == "" {
		return length{most: 1, known: true}
	}
	source, _ := expr.Bare(s.ForEach)
	source = strings.TrimSpace(source)
	reads := expr.Reads(s.ForEach)
	if len(reads) == 0 {
		return constantLength(s.ForEach)
	}
	if len(reads) > 1 {
		return length{}
	}
	whole := strings.Join(reads[0], ".")
	if m := sliced.FindStringSubmatch(source); m != nil && strings.TrimSpace(strings.TrimSuffix(source, m[0])) == whole {
		from, _ := strconv.Atoi(m[1])
		if to, err := strconv.Atoi(m[2]); err == nil && to >= from {
			return length{most: to - from, known: true}
		}
	}
	if source != whole {
		return length{}
	}
	return c.declaredLength(reads[0])
}

// constantLength is that of a list that is written out, or of a range.
func constantLength(written string) length {
	e, err := expr.CompileBare(written, expr.Readable{}, false)
	if err != nil {
		return length{}
	}
	v, err := e.Given(nil)
	if err != nil {
		return length{}
	}
	raw, err := expr.Canonical(v)
	var list []json.RawMessage
	if err != nil || json.Unmarshal(raw, &list) != nil {
		return length{}
	}
	return length{most: len(list), known: true}
}

// declaredLength is what a schema says of the list that is read.
func (c *checker) declaredLength(read expr.Read) length {
	schema, path := c.plan.InputSchema, read[1:]
	if id, field, ok := read.Of(); ok {
		if _, there := c.index[id]; field != "output" || !there || c.nodeHasList(id) {
			return length{}
		}
		schema, _ = c.outputOf(id)
		path = read[3:]
	} else if read[0] != "input" {
		return length{}
	}
	most, ok := maxItems(schema, path)
	return length{most: most, known: ok}
}

func (c *checker) nodeHasList(step string) bool {
	i, ok := c.index[step]
	return ok && c.plan.Steps[i].ForEach != ""
}

// maxItems is what a schema says of the list at a path of properties.
func maxItems(schema json.RawMessage, path []string) (int, bool) {
	at, ok := property(schema, path)
	if !ok {
		return 0, false
	}
	n, ok := at["maxItems"].(json.Number)
	if !ok {
		return 0, false
	}
	most, err := strconv.Atoi(n.String())
	return most, err == nil
}

// property is the schema of what stands at a path of properties; ok is false where the schema does not say it.
func property(schema json.RawMessage, path []string) (map[string]any, bool) {
	at, ok := steps.Decode(schema).(map[string]any)
	for _, name := range path {
		if !ok {
			return nil, false
		}
		properties, _ := at["properties"].(map[string]any)
		at, ok = properties[name].(map[string]any)
	}
	return at, ok
}

// never reports whether a schema rules out that anything stands at a path of properties.
func never(schema json.RawMessage, path []string) bool {
	at, ok := steps.Decode(schema).(map[string]any)
	for _, name := range path {
		if !ok {
			return false
		}
		properties, _ := at["properties"].(map[string]any)
		closed, isBool := at["additionalProperties"].(bool)
		if _, declared := properties[name]; !declared {
			return isBool && !closed && at["patternProperties"] == nil
		}
		at, ok = properties[name].(map[string]any)
	}
	return false
}
