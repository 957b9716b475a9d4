package plan

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/executor"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Defaults of a tools file.
const (
	defaultToolTimeout   = steps.Duration(10 * time.Minute)
	defaultRungTimeout   = steps.Duration(30 * time.Second)
	defaultLocalTimeout  = steps.Duration(5 * time.Second) // cache and static do not leave the worker
	defaultMaxAttempts   = 3
	defaultInitial       = steps.Duration(time.Second)
	defaultFactor        = 2
	defaultMax           = steps.Duration(60 * time.Second)
	defaultGrace         = 5 * time.Second // of a command that is told to end
	defaultRetryAfterMax = steps.Duration(5 * time.Minute)
)

// toolsFile is a tools file being read.
type toolsFile struct {
	*reader
	base  string // absolute folder of the file
	tools *Tools
}

// fields are the keys of a tools file.
func (f *toolsFile) fields() fields {
	return fields{"tools": f.readTools, "services": f.readServices}
}

func (f *toolsFile) readServices(n *yaml.Node) {
	f.list(n, "services", func(_ int, e *yaml.Node) {
		s := Service{Dir: f.base}
		found := f.object(e, "the service", f.serviceFields(&s))
		f.require(e, "the service", found, "argv")
		f.tools.Services = append(f.tools.Services, s)
	})
}

// serviceFields are the keys of a service.
func (f *toolsFile) serviceFields(s *Service) fields {
	return fields{
		"argv":  f.words(&s.Argv),
		"ready": f.readyURL(&s.Ready),
		"dir":   f.dir(&s.Dir),
		"env":   f.env(&s.Env),

		"shared": f.bool(&s.Shared),
	}
}

func (f *toolsFile) readyURL(into *string) field {
	return func(n *yaml.Node) {
		s, ok := f.text(n)
		if u, err := url.Parse(s); ok && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			f.at(n, "like http://127.0.0.1:9000/healthz", "%q is no http URL", shorten(s))
			return
		}
		*into = s
	}
}

// words reads a list of strings that must not be empty.
func (f *toolsFile) words(into *[]string) field {
	return func(n *yaml.Node) {
		f.list(n, "argv", func(_ int, e *yaml.Node) {
			if s, ok := f.text(e); ok {
				*into = append(*into, s)
			}
		})
		f.needProgram(n)
	}
}

func (f *toolsFile) needProgram(n *yaml.Node) {
	if n.Kind == yaml.SequenceNode && (len(n.Content) == 0 || resolve(n.Content[0]).Value == "") {
		f.at(n, "[cat, orders.json]", "argv begins with the program")
	}
}

// dir reads a folder, relative to the tools file's own.
func (f *toolsFile) dir(into *string) field {
	return func(n *yaml.Node) {
		s, ok := f.text(n)
		if !ok {
			return
		}
		if !filepath.IsAbs(s) {
			s = filepath.Join(f.base, s)
		}
		*into = s
	}
}

// env reads names that are let through (`HOME`) and fixed values (`MODE=test`), or a mapping of fixed values.
func (f *toolsFile) env(into *[]executor.EnvVar) field {
	return func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			f.mapping(n, "env", func(key, value *yaml.Node) {
				if s, ok := f.text(value); ok {
					f.envVar(into, key, executor.EnvVar{Name: key.Value, Value: s})
				}
			})
			return
		}
		f.list(n, "env", func(_ int, e *yaml.Node) {
			if s, ok := f.text(e); ok {
				name, value, fixed := strings.Cut(s, "=")
				f.envVar(into, e, executor.EnvVar{Name: name, Value: value, FromEnv: !fixed})
			}
		})
	}
}

func (f *toolsFile) envVar(into *[]executor.EnvVar, n *yaml.Node, v executor.EnvVar) {
	if !validEnv(v.Name) {
		f.at(n, "NAME lets a variable through, NAME=value sets one", "no name of an environment variable")
		return
	}
	*into = append(*into, v)
}

func validEnv(s string) bool {
	return s != "" && !strings.ContainsAny(s, "= \t\n\x00$")
}

func (f *toolsFile) readTools(n *yaml.Node) {
	f.mapping(n, "tools", func(key, value *yaml.Node) {
		if !wire.ValidTool(key.Value) {
			f.at(key, toolRule, "%q is no valid tool name", shorten(key.Value))
		}
		f.tools.Tools[key.Value] = f.readTool(key.Value, value)
	})
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		f.at(n, "", "the tools file has no tools")
	}
}

func (f *toolsFile) readTool(name string, n *yaml.Node) *ToolDef {
	t := &ToolDef{Tool: steps.Tool{Name: name, Effects: steps.EffectsUnsafe, Timeout: defaultToolTimeout}}
	what := `tool "` + shorten(name) + `"`
	found := f.object(n, what, f.toolFields(t))
	f.require(n, what, found, "rungs")
	if found["rungs"] != nil {
		f.settlePeople(t, n)
	}
	for _, r := range t.Rungs {
		t.Tool.Rungs = append(t.Tool.Rungs, r.Rung)
	}
	f.lintTool(t)
	return t
}

// toolFields are the keys of a tool.
func (f *toolsFile) toolFields(t *ToolDef) fields {
	return fields{
		"effects":       choice(f.reader, &t.Effects, steps.EffectsNone, steps.EffectsIdempotent, steps.EffectsUnsafe),
		"timeout":       kept(&t.at.timeout, f.duration(&t.Timeout, 0)),
		"rungs":         func(n *yaml.Node) { f.readRungs(t, n) },
		"summary":       func(n *yaml.Node) { f.readSummary(t, n) },
		"input_schema":  func(n *yaml.Node) { t.CheckInput = f.schema(n, &t.InputSchema) },
		"output_schema": func(n *yaml.Node) { t.CheckOutput = f.schema(n, &t.OutputSchema) },
		"approval":      func(n *yaml.Node) { f.readApproval(t, n) },
		"verify":        func(n *yaml.Node) { f.readVerify(t, n) },
	}
}

func (f *toolsFile) readRungs(t *ToolDef, n *yaml.Node) {
	alone := n.Kind == yaml.SequenceNode && len(n.Content) == 1
	f.list(n, "rungs", func(_ int, e *yaml.Node) {
		r := f.readRung(t, e, alone)
		if i := slices.IndexFunc(t.Rungs, func(o RungDef) bool { return o.Name == r.Name && r.Name != "" }); i >= 0 {
			f.at(e, "", "the rung %q is here twice", r.Name)
		}
		t.Rungs = append(t.Rungs, r)
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		f.at(n, "", "a tool needs at least one rung")
	}
}

func (f *toolsFile) readRung(t *ToolDef, n *yaml.Node, alone bool) RungDef {
	r := RungDef{Rung: steps.Rung{Timeout: -1, Retry: defaultRetry()}}
	what := "the rung"
	if name := valueOf(n, "name"); name != nil && isString(name) {
		what = `rung "` + shorten(name.Value) + `"`
	}
	keys := f.rungFields(t, &r)
	found := f.object(n, what, keys)
	if alone && found["name"] == nil {
		r.Name = "primary"
	} else {
		f.require(n, what, found, "name")
	}
	f.oneExecutor(n, what, found, keys, &r)
	r.settleOutput()
	if r.Timeout < 0 {
		r.Timeout = defaultTimeout(r.Executor)
	}
	f.settleGrace(n, &r)
	return r
}

func defaultTimeout(executor string) steps.Duration {
	switch executor {
	case "cache", "static":
		return defaultLocalTimeout
	case "human":
		return 0 // people have their own deadline
	}
	return defaultRungTimeout
}

// rungFields are the keys of a rung, its executors included.
func (f *toolsFile) rungFields(t *ToolDef, r *RungDef) fields {
	keys := fields{
		"name":    f.checked(&r.Name, validRung, nameRule+"; verify is the name of the probe"),
		"timeout": kept(&r.at.timeout, f.duration(&r.Timeout, 0)),
		"retry":   kept(&r.at.retry, func(n *yaml.Node) { f.readRetry(r, n) }),
		"output":  func(n *yaml.Node) { f.readOutput(r, n) },
	}
	for name, read := range f.executors(t, r) {
		keys[name] = read
	}
	return keys
}

func validRung(s string) bool { return wire.ValidName(s) && s != steps.VerifyRung }

// oneExecutor reports rungs without an executor and with several.
func (f *toolsFile) oneExecutor(n *yaml.Node, what string, found map[string]*yaml.Node, keys fields, r *RungDef) {
	var known, named []string
	for name := range f.executors(&ToolDef{}, r) {
		if keys[name] != nil {
			known = append(known, name)
		}
		if found[name] != nil {
			named = append(named, name)
		}
	}
	slices.Sort(named)
	switch {
	case found == nil:
	case len(named) == 0:
		f.at(n, listed("one of: ", known), "%s has no executor", what)
	case len(named) > 1:
		f.at(found[named[1]], "make each its own rung", "%s has several executors: %s", what, strings.Join(named, ", "))
	default:
		r.Executor = named[0]
	}
}

func defaultRetry() steps.RetryPolicy {
	return steps.RetryPolicy{
		MaxAttempts: defaultMaxAttempts, Initial: defaultInitial, Factor: defaultFactor, Max: defaultMax, RetryAfterMax: defaultRetryAfterMax,
	}
}

func (f *toolsFile) readRetry(r *RungDef, n *yaml.Node) {
	f.object(n, "retry", f.retryFields(&r.Retry))
	if r.Retry.Initial > r.Retry.Max {
		f.at(n, "", "the first wait, %s, is longer than the longest, %s", r.Retry.Initial, r.Retry.Max)
	}
}

// retryFields are the keys of a retry policy.
func (f *toolsFile) retryFields(p *steps.RetryPolicy) fields {
	return fields{
		"max_attempts":    f.int(&p.MaxAttempts, 1, 1000),
		"initial":         f.duration(&p.Initial, time.Millisecond),
		"factor":          f.float(&p.Factor, 1, 100),
		"max":             f.duration(&p.Max, time.Millisecond),
		"retry_after_max": f.duration(&p.RetryAfterMax, 0),
		"max_named_waits": f.int(&p.MaxNamedWaits, 1, 1000),
		"on":              func(n *yaml.Node) { f.readOn(p, n) },
	}
}

func (f *toolsFile) readOn(p *steps.RetryPolicy, n *yaml.Node) {
	p.On = map[steps.Class]steps.ClassPolicy{}
	f.mapping(n, "on", func(key, value *yaml.Node) {
		class := steps.Class(key.Value)
		if class.Known() && class.Reaction() != steps.Retry {
			f.at(key, listed("one of: ", retryable()), "the fault class %q is never retried", class)
			return
		}
		if !class.Known() {
			f.at(key, oneOf(key.Value, retryable()), "unknown fault class %q", shorten(key.Value))
			return
		}
		var c steps.ClassPolicy
		f.object(value, "on."+key.Value, f.classFields(&c))
		p.On[class] = c
	})
}

// classFields are the keys of a retry policy for one class.
func (f *toolsFile) classFields(c *steps.ClassPolicy) fields {
	return fields{
		"max_attempts": f.int(&c.MaxAttempts, 1, 1000),
		"initial":      f.duration(&c.Initial, time.Millisecond),
		"factor":       f.float(&c.Factor, 1, 100),
		"max":          f.duration(&c.Max, time.Millisecond),
	}
}

// retryable are the classes that are retried by default; only these have a retry policy.
func retryable() []string {
	all := []steps.Class{steps.Timeout, steps.RateLimited, steps.Unavailable, steps.Connection, steps.Crashed, steps.InvalidOutput}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = string(c)
	}
	return names
}
