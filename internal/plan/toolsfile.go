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
	"belay/internal/yamldoc"
)

// Defaults of a tools file.
const (
	defaultToolTimeout   = steps.Duration(10 * time.Minute)
	defaultRungTimeout   = steps.Duration(30 * time.Second)
	defaultLocalTimeout  = steps.Duration(5 * time.Second) // cache and static do not leave the worker
	defaultModelTimeout  = steps.Duration(time.Minute)
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
	base    string // absolute folder of the file
	tools   *Tools
	targets map[string]target // with limits, by host
}

// fields are the keys of a tools file.
func (f *toolsFile) fields() yamldoc.Fields {
	return yamldoc.Fields{"tools": f.readTools, "services": f.readServices, "targets": f.readTargets}
}

func (f *toolsFile) readServices(n *yaml.Node) {
	f.List(n, "services", func(_ int, e *yaml.Node) {
		s := Service{Dir: f.base}
		found := f.Object(e, "the service", f.serviceFields(&s))
		f.Require(e, "the service", found, "argv")
		f.tools.Services = append(f.tools.Services, s)
	})
}

// serviceFields are the keys of a service.
func (f *toolsFile) serviceFields(s *Service) yamldoc.Fields {
	return yamldoc.Fields{
		"argv":  f.words(&s.Argv),
		"ready": f.readyURL(&s.Ready),
		"dir":   f.dir(&s.Dir),
		"env":   f.env(&s.Env),

		"shared": f.Bool(&s.Shared),
	}
}

func (f *toolsFile) readyURL(into *string) yamldoc.Field {
	return func(n *yaml.Node) {
		s, ok := f.Text(n)
		if u, err := url.Parse(s); ok && (err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
			f.At(n, "like http://127.0.0.1:9000/healthz", "%q is not an HTTP URL", yamldoc.Shorten(s))
			return
		}
		*into = s
	}
}

// words reads a list of strings that must not be empty.
func (f *toolsFile) words(into *[]string) yamldoc.Field {
	return func(n *yaml.Node) {
		f.List(n, "argv", func(_ int, e *yaml.Node) {
			if s, ok := f.Text(e); ok {
				*into = append(*into, s)
			}
		})
		f.needProgram(n)
	}
}

func (f *toolsFile) needProgram(n *yaml.Node) {
	if n.Kind == yaml.SequenceNode && (len(n.Content) == 0 || yamldoc.Resolve(n.Content[0]).Value == "") {
		f.At(n, "[cat, orders.json]", "argv must begin with the program")
	}
}

// dir reads a folder, relative to the tools file's own.
func (f *toolsFile) dir(into *string) yamldoc.Field {
	return func(n *yaml.Node) {
		s, ok := f.Text(n)
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
func (f *toolsFile) env(into *[]executor.EnvVar) yamldoc.Field {
	return func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			f.Mapping(n, "env", func(key, value *yaml.Node) {
				if s, ok := f.Text(value); ok {
					f.envVar(into, key, executor.EnvVar{Name: key.Value, Value: s})
				}
			})
			return
		}
		f.List(n, "env", func(_ int, e *yaml.Node) {
			if s, ok := f.Text(e); ok {
				name, value, fixed := strings.Cut(s, "=")
				f.envVar(into, e, executor.EnvVar{Name: name, Value: value, FromEnv: !fixed})
			}
		})
	}
}

func (f *toolsFile) envVar(into *[]executor.EnvVar, n *yaml.Node, v executor.EnvVar) {
	if !validEnv(v.Name) {
		f.At(n, "NAME lets a variable through, NAME=value sets one", "not the name of an environment variable")
		return
	}
	*into = append(*into, v)
}

func validEnv(s string) bool {
	return s != "" && !strings.ContainsAny(s, "= \t\n\x00$")
}

func (f *toolsFile) readTools(n *yaml.Node) {
	f.Mapping(n, "tools", func(key, value *yaml.Node) {
		if !wire.ValidTool(key.Value) {
			f.At(key, toolRule, "%q is not a valid tool name", yamldoc.Shorten(key.Value))
		}
		f.tools.Tools[key.Value] = f.readTool(key.Value, value)
	})
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		f.At(n, "", "the tools file has no tools")
	}
	f.checkUndos()
}

func (f *toolsFile) readTool(name string, n *yaml.Node) *ToolDef {
	t := &ToolDef{Tool: steps.Tool{Name: name, Effects: steps.EffectsUnsafe, Timeout: defaultToolTimeout}}
	t.at.node, t.at.file = yamldoc.Resolve(n), f.FileName()
	what := `tool "` + yamldoc.Shorten(name) + `"`
	found := f.Object(n, what, f.toolFields(t))
	f.Require(n, what, found, "rungs")
	if found["rungs"] != nil {
		f.settlePeople(t, n)
		f.settleModels(t, n)
	}
	t.settleMCP()
	for _, r := range t.Rungs {
		t.Tool.Rungs = append(t.Tool.Rungs, r.Rung)
	}
	f.lintTool(t)
	return t
}

// toolFields are the keys of a tool.
func (f *toolsFile) toolFields(t *ToolDef) yamldoc.Fields {
	return yamldoc.Fields{
		"effects":       yamldoc.Choice(f.Reader, &t.Effects, steps.EffectsNone, steps.EffectsIdempotent, steps.EffectsUnsafe),
		"trust":         f.trust(&t.Trust),
		"timeout":       yamldoc.Kept(&t.at.timeout, f.duration(&t.Timeout, 0)),
		"rungs":         func(n *yaml.Node) { f.readRungs(t, n) },
		"description":   func(n *yaml.Node) { t.Description, _ = f.Text(n) },
		"summary":       func(n *yaml.Node) { f.readSummary(t, n) },
		"input_schema":  func(n *yaml.Node) { t.CheckInput = f.schema(n, &t.InputSchema) },
		"output_schema": func(n *yaml.Node) { t.CheckOutput = f.schema(n, &t.OutputSchema) },
		"approval":      func(n *yaml.Node) { f.readApproval(t, n) },
		"verify":        func(n *yaml.Node) { f.readVerify(t, n) },
		"limits":        func(n *yaml.Node) { f.readLimits(t, n) },
		"undo":          func(n *yaml.Node) { f.readUndo(t, n) },
		"breaker":       func(n *yaml.Node) { f.readBreaker(t, n) },
		"slo":           func(n *yaml.Node) { f.readSLO(t, n) },
	}
}

func (f *toolsFile) readRungs(t *ToolDef, n *yaml.Node) {
	alone := n.Kind == yaml.SequenceNode && len(n.Content) == 1
	f.List(n, "rungs", func(_ int, e *yaml.Node) {
		r := f.readRung(t, e, alone)
		if i := slices.IndexFunc(t.Rungs, func(o RungDef) bool { return o.Name == r.Name && r.Name != "" }); i >= 0 {
			f.At(e, "", "the rung %q occurs twice", r.Name)
		}
		t.Rungs = append(t.Rungs, r)
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		f.At(n, "", "a tool needs at least one rung")
	}
}

func (f *toolsFile) readRung(t *ToolDef, n *yaml.Node, alone bool) RungDef {
	r := RungDef{Rung: steps.Rung{Timeout: -1, Retry: DefaultRetry()}}
	r.at.node, r.at.file = yamldoc.Resolve(n), f.FileName()
	what := "the rung"
	if name := yamldoc.ValueOf(n, "name"); name != nil && yamldoc.IsString(name) {
		what = `rung "` + yamldoc.Shorten(name.Value) + `"`
	}
	keys := f.rungFields(t, &r)
	found := f.Object(n, what, keys)
	if alone && found["name"] == nil {
		r.Name = "primary"
	} else {
		f.Require(n, what, found, "name")
	}
	f.oneExecutor(n, what, found, keys, &r)
	r.settleOutput()
	if r.Timeout < 0 {
		r.Timeout = defaultTimeout(r.Executor)
	}
	f.settleGrace(n, &r)
	r.settleCrashes()
	return r
}

func defaultTimeout(executor string) steps.Duration {
	switch executor {
	case "cache", "static":
		return defaultLocalTimeout
	case "model":
		return defaultModelTimeout
	case "human":
		return 0 // people have their own deadline
	}
	return defaultRungTimeout
}

// rungFields are the keys of a rung, its executors included.
func (f *toolsFile) rungFields(t *ToolDef, r *RungDef) yamldoc.Fields {
	keys := yamldoc.Fields{
		"name":    f.Checked(&r.Name, validRung, nameRule+"; verify is the name of the probe"),
		"timeout": yamldoc.Kept(&r.at.timeout, f.duration(&r.Timeout, 0)),
		"retry":   yamldoc.Kept(&r.at.retry, func(n *yaml.Node) { f.readRetry(r, n) }),
		"output":  func(n *yaml.Node) { f.readOutput(r, n) },
		"cost":    f.Float(&r.Cost, 0, 1_000_000),
	}
	for name, read := range f.executors(t, r) {
		keys[name] = read
	}
	return keys
}

func validRung(s string) bool { return wire.ValidName(s) && s != steps.VerifyRung }

// oneExecutor reports rungs without an executor and with several.
func (f *toolsFile) oneExecutor(n *yaml.Node, what string, found map[string]*yaml.Node, keys yamldoc.Fields, r *RungDef) {
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
		f.At(n, yamldoc.Listed("one of: ", known), "%s has no executor", what)
	case len(named) > 1:
		f.At(found[named[1]], "make each its own rung", "%s has several executors: %s", what, strings.Join(named, ", "))
	default:
		r.Executor = named[0]
	}
}

// DefaultRetry is how a rung is retried that does not say.
func DefaultRetry() steps.RetryPolicy {
	return steps.RetryPolicy{
		MaxAttempts: defaultMaxAttempts, Initial: defaultInitial, Factor: defaultFactor, Max: defaultMax, RetryAfterMax: defaultRetryAfterMax,
	}
}

func (f *toolsFile) readRetry(r *RungDef, n *yaml.Node) {
	f.Object(n, "retry", f.retryFields(&r.Retry))
	if r.Retry.Initial > r.Retry.Max {
		f.At(n, "", "the initial wait, %s, is longer than the longest, %s", r.Retry.Initial, r.Retry.Max)
	}
}

// retryFields are the keys of a retry policy.
func (f *toolsFile) retryFields(p *steps.RetryPolicy) yamldoc.Fields {
	return yamldoc.Fields{
		"max_attempts":    f.Int(&p.MaxAttempts, 1, 1000),
		"initial":         f.duration(&p.Initial, time.Millisecond),
		"factor":          f.Float(&p.Factor, 1, 100),
		"max":             f.duration(&p.Max, time.Millisecond),
		"retry_after_max": f.duration(&p.RetryAfterMax, 0),
		"max_named_waits": f.Int(&p.MaxNamedWaits, 1, 1000),
		"on":              func(n *yaml.Node) { f.readOn(p, n) },
	}
}

func (f *toolsFile) readOn(p *steps.RetryPolicy, n *yaml.Node) {
	p.On = map[steps.Class]steps.ClassPolicy{}
	f.Mapping(n, "on", func(key, value *yaml.Node) {
		class := steps.Class(key.Value)
		if class.Known() && class.Reaction() != steps.Retry {
			f.At(key, yamldoc.Listed("one of: ", retryable()), "the fault class %q is never retried", class)
			return
		}
		if !class.Known() {
			f.At(key, yamldoc.OneOf(key.Value, retryable()), "unknown fault class %q", yamldoc.Shorten(key.Value))
			return
		}
		var c steps.ClassPolicy
		f.Object(value, "on."+key.Value, f.classFields(&c))
		p.On[class] = c
	})
}

// classFields are the keys of a retry policy for one class.
func (f *toolsFile) classFields(c *steps.ClassPolicy) yamldoc.Fields {
	return yamldoc.Fields{
		"max_attempts": f.Int(&c.MaxAttempts, 1, 1000),
		"initial":      f.duration(&c.Initial, time.Millisecond),
		"factor":       f.Float(&c.Factor, 1, 100),
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
