package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
)

// places are where the parts of a tool or a rung stand that lint has something to say about; nil where they are not
// written.
type places struct {
	timeout, retry, url, options *yaml.Node
	argv                         []*yaml.Node
}

// lintTool warns of what a tool may not be meant to do. It is asked once the whole tool is read.
func (f *toolsFile) lintTool(t *ToolDef) {
	before := len(f.warnings)
	params := propertiesOf(t.InputSchema)
	for i := range t.Rungs {
		r := &t.Rungs[i]
		f.lintTimes(t, r)
		f.lintURL(r, params)
		f.lintArgv(r, params)
		f.lintOptions(t, r)
	}
	t.Warnings = slices.Clone(f.warnings[before:]).sorted()
}

func (f *toolsFile) lintTimes(t *ToolDef, r *RungDef) {
	if t.Timeout <= 0 {
		return
	}
	if r.at.timeout != nil && r.Timeout > t.Timeout {
		f.warn(r.at.timeout, "give the tool a longer timeout, or the rung a shorter one", "an attempt may take %s, all of the step only %s", spokenDuration(r.Timeout), spokenDuration(t.Timeout))
	}
	if r.at.retry == nil {
		return
	}
	if waits := longestWaits(r.Retry, steps.ClassPolicy{}); sumOf(waits) > time.Duration(t.Timeout) {
		f.sayWaits(r.at.retry, "", waits, t.Timeout)
		return
	}
	for _, class := range slices.Sorted(keysOfClasses(r.Retry)) {
		if waits := longestWaits(r.Retry, r.Retry.On[class]); sumOf(waits) > time.Duration(t.Timeout) {
			f.sayWaits(r.at.retry, " after "+string(class), waits, t.Timeout)
			return
		}
	}
}

func (f *toolsFile) sayWaits(n *yaml.Node, after string, waits []time.Duration, budget steps.Duration) {
	f.warn(n, "fewer attempts, shorter waits, or a longer timeout of the tool",
		"the waits%s before %d retries may take %s (%s), all of the step only %s", after, len(waits), spoken(sumOf(waits)), written(waits), spokenDuration(budget))
}

// longestWaits are the upper bounds of the waits of a retry policy, as the core reckons them.
func longestWaits(p steps.RetryPolicy, on steps.ClassPolicy) []time.Duration {
	attempts, initial, factor, most := p.MaxAttempts, float64(p.Initial), p.Factor, float64(p.Max)
	if on.MaxAttempts > 0 {
		attempts = on.MaxAttempts
	}
	if on.Initial > 0 {
		initial = float64(on.Initial)
	}
	if on.Factor > 0 {
		factor = on.Factor
	}
	if on.Max > 0 {
		most = float64(on.Max)
	}
	var waits []time.Duration
	for wait := initial; len(waits) < attempts-1; wait *= max(factor, 1) {
		if most > 0 {
			wait = min(wait, most)
		}
		waits = append(waits, time.Duration(wait))
	}
	return waits
}

func keysOfClasses(p steps.RetryPolicy) func(func(steps.Class) bool) {
	return func(yield func(steps.Class) bool) {
		for class := range p.On {
			if !yield(class) {
				return
			}
		}
	}
}

func sumOf(waits []time.Duration) time.Duration {
	var sum time.Duration
	for _, w := range waits {
		sum += w
	}
	return sum
}

// written names the first waits and the last one.
func written(waits []time.Duration) string {
	const most = 4
	var words []string
	for i, w := range waits {
		if i >= most && i < len(waits)-1 {
			continue
		}
		if i >= most && len(waits) > most+1 {
			words = append(words, "…")
		}
		words = append(words, spoken(w))
	}
	return strings.Join(words, " + ")
}

// lintURL warns of a host that a parameter chooses: whoever gives the parameter chooses whom the worker talks to.
func (f *toolsFile) lintURL(r *RungDef, params map[string]any) {
	if r.at.url == nil {
		return
	}
	segments, _ := split(r.at.url.Value)
	for i, s := range segments {
		text := s.text
		if i == 0 {
			_, text, _ = strings.Cut(text, "://")
		}
		switch {
		case !s.expression && strings.ContainsAny(text, "/?#"):
			return
		case s.expression && !anyOf(params, s.text, isChosen):
			f.warnInside(r.at.url, []fault{{at: s.at, message: "a parameter chooses the host of the url, and so whom the worker talks to and shows its secrets",
				hint: "write the host out, one tool for each, or list those that may be in input_schema (enum)"}})
		}
	}
}

// shells take the words after `-c SCRIPT` as they are.
var shells = []string{"sh", "bash", "dash", "zsh", "ksh", "/bin/sh", "/bin/bash"}

// lintArgv warns of words that a program may take for an option, because a parameter says how they begin.
func (f *toolsFile) lintArgv(r *RungDef, params map[string]any) {
	argv := r.at.argv
	script := len(argv) > 2 && slices.Contains(shells, argv[0].Value) && argv[1].Value == "-c"
	for i, n := range argv {
		segments, _ := split(n.Value)
		switch {
		case n.Value == "--", script && i > 2:
			return
		case len(segments) == 0 || !segments[0].expression || anyOf(params, segments[0].text, isNoOption):
		case i == 0:
			f.warnInside(n, []fault{{at: segments[0].at, message: "a parameter chooses the program", hint: "write the program out"}})
		default:
			f.warnInside(n, []fault{{at: segments[0].at, message: fmt.Sprintf("a parameter that begins with - is an option of %s here", shorten(argv[0].Value)),
				hint: `put "--" before it, if the program knows that, or let input_schema say how it begins (pattern)`}})
		}
	}
}

// lintOptions warns of answers that are offered and would be refused.
func (f *toolsFile) lintOptions(t *ToolDef, r *RungDef) {
	if r.at.options == nil || r.Human == nil || t.CheckOutput == nil || len(r.Human.Output) > 0 {
		return
	}
	for _, option := range r.Human.Options {
		if err := t.CheckOutput(quoted(option)); err != nil {
			f.warn(r.at.options, "make an output of it with the rung's output, or mend output_schema", "the answer %q is refused: it does not fit the tool's output_schema: %v", shorten(option), err)
			return
		}
	}
}

// propertiesOf are the properties of an input schema.
func propertiesOf(schema []byte) map[string]any {
	s, _ := steps.Decode(schema).(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	return properties
}

var onlyParam = regexp.MustCompile(`^\s*params\.([A-Za-z_]\w*)\s*$`)

// anyOf reports whether an expression is a parameter of which the schema says enough.
func anyOf(params map[string]any, expression string, enough func(schema map[string]any) bool) bool {
	m := onlyParam.FindStringSubmatch(expression)
	if m == nil {
		return false
	}
	schema, _ := params[m[1]].(map[string]any)
	return schema != nil && enough(schema)
}

// isChosen: the schema lists what the parameter may be.
func isChosen(schema map[string]any) bool {
	_, isConst := schema["const"]
	list, _ := schema["enum"].([]any)
	return isConst || len(list) > 0
}

// plainWords reports whether a schema lists only words that begin with no minus.
func plainWords(schema map[string]any) bool {
	list, _ := schema["enum"].([]any)
	if c, is := schema["const"]; is {
		list = []any{c}
	}
	return len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool {
		text, err := asText(v)
		return err != nil || strings.HasPrefix(text, "-")
	})
}

// isNoOption: nothing that fits the schema begins with a minus.
func isNoOption(schema map[string]any) bool {
	if isChosen(schema) {
		return plainWords(schema)
	}
	check, err := CompileSchema(mustJSON(schema))
	if err != nil || check == nil {
		return false
	}
	for _, word := range []string{`"-"`, `"-a"`, `"--all"`, `"-rf"`, `"-1"`, `"-x=1"`, `"--output=/etc/passwd"`, `-1`, `-0.5`, `-1000000`} {
		if check([]byte(word)) == nil {
			return false
		}
	}
	pattern, hasPattern := schema["pattern"].(string)
	_, ofType := schema["type"]
	return hasPattern && strings.HasPrefix(pattern, "^") || ofType && schema["type"] != "string"
}

func mustJSON(v any) []byte {
	raw, err := canonical(v)
	if err != nil {
		panic("plan: a schema cannot be written: " + err.Error())
	}
	return raw
}
