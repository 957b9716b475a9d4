package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// places are where the parts of a tool or a rung stand that lint has something to say about; nil where they are not
// written.
type places struct {
	timeout, retry, url, options *yaml.Node
	undoTool, undoWith           *yaml.Node
	argv                         []*yaml.Node
	node                         *yaml.Node // the whole
	file                         string     // that it stands in
}

// lintTool warns of what a tool may not be meant to do. It is asked once the whole tool is read.
func (f *toolsFile) lintTool(t *ToolDef) {
	before := len(f.Warnings)
	params := propertiesOf(t.InputSchema)
	for i := range t.Rungs {
		r := &t.Rungs[i]
		f.lintTimes(t, r)
		f.coded(HostChosen, func() { f.lintURL(r, params) })
		f.coded(OptionChosen, func() { f.lintArgv(r, params) })
		f.coded(AnswerRefused, func() { f.lintOptions(t, r) })
	}
	f.coded(ModelUnsafe, func() { f.lintEffects(t) })
	t.Warnings = slices.Clone(f.Warnings[before:]).Sorted()
}

func (f *toolsFile) lintTimes(t *ToolDef, r *RungDef) {
	if t.Timeout <= 0 {
		return
	}
	f.coded(AttemptTooLong, func() { f.lintTimeout(t, r) })
	if r.at.retry != nil {
		f.coded(WaitsTooLong, func() { f.lintWaits(t, r) })
	}
}

func (f *toolsFile) lintTimeout(t *ToolDef, r *RungDef) {
	if r.at.timeout != nil && r.Timeout > t.Timeout {
		f.Warn(r.at.timeout, "give the tool a longer timeout, or the rung a shorter one", "an attempt may take %s, all of the step only %s", spokenDuration(r.Timeout), spokenDuration(t.Timeout))
	}
}

func (f *toolsFile) lintWaits(t *ToolDef, r *RungDef) {
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
	f.Warn(n, "fewer attempts, shorter waits, or a longer timeout of the tool",
		"the waits%s before %d retries may take %s (%s), all of the step only %s", after, len(waits), yamldoc.SpokenDuration(sumOf(waits)), written(waits), spokenDuration(budget))
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
		words = append(words, yamldoc.SpokenDuration(w))
	}
	return strings.Join(words, " + ")
}

// lintURL warns of a host that a parameter chooses among all that there are: whoever gives the parameter chooses whom the worker
// talks to.
func (f *toolsFile) lintURL(r *RungDef, params map[string]any) {
	if r.at.url == nil || r.Spec.HTTP == nil || !slices.ContainsFunc(r.Spec.HTTP.AllowHosts, everyHost) {
		return
	}
	if s, is := hostSegment(r.at.url.Value); is && !anyOf(params, s.Text, isChosen) {
		f.WarnInside(r.at.url, []yamldoc.Fault{{At: s.At, Message: "a parameter chooses the host of the url among all that there are, and so whom the worker talks to and shows its secrets",
			Hint: "name the hosts that are meant in allow_hosts, or list those that may be in input_schema (enum)"}})
	}
}

// shells take the words after `-c SCRIPT` as they are.
var shells = []string{"sh", "bash", "dash", "zsh", "ksh", "/bin/sh", "/bin/bash"}

// lintArgv warns of words that a program may take for an option, because a parameter says how they begin.
func (f *toolsFile) lintArgv(r *RungDef, params map[string]any) {
	argv := r.at.argv
	script := len(argv) > 2 && slices.Contains(shells, argv[0].Value) && argv[1].Value == "-c"
	for i, n := range argv {
		segments, _ := expr.Split(n.Value)
		switch {
		case n.Value == "--", script && i > 2:
			return
		case len(segments) == 0 || !segments[0].Expression || anyOf(params, segments[0].Text, isNoOption):
		case i == 0:
			f.WarnInside(n, []yamldoc.Fault{{At: segments[0].At, Message: "a parameter chooses the program", Hint: "write the program out"}})
		default:
			f.WarnInside(n, []yamldoc.Fault{{At: segments[0].At, Message: fmt.Sprintf("a parameter that begins with - is an option of %s here", yamldoc.Shorten(argv[0].Value)),
				Hint: `put "--" before it, if the program knows that, or let input_schema say how it begins (pattern)`}})
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
			f.Warn(r.at.options, "make an output of it with the rung's output, or fix output_schema", "the answer %q is refused: it does not fit the tool's output_schema: %v", yamldoc.Shorten(option), err)
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

// plainWords reports whether a schema lists only words that do not begin with a minus.
func plainWords(schema map[string]any) bool {
	list, _ := schema["enum"].([]any)
	if c, is := schema["const"]; is {
		list = []any{c}
	}
	return len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool {
		text, err := expr.AsText(v)
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
	raw, err := expr.Canonical(v)
	if err != nil {
		panic("plan: a schema cannot be written: " + err.Error())
	}
	return raw
}
